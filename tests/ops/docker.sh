# A Docker engine, the Debian base image and stand-ins for the official images of the servers. Sourced by compose.
# shellcheck shell=bash

STAND_INS=(postgres:15 redis:7 quay.io/coreos/etcd:v3.4.34 nats:2.9-alpine prom/prometheus:v2.53.2 prom/alertmanager:v0.27.0)

install_packages() {  # install_packages <package...>
  dpkg-query -W "$@" >/dev/null 2>&1 && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Uses the engine that runs, or starts one under $WORK, which the caller stops with stop_engine.
start_engine() {
  if docker info >/dev/null 2>&1; then return; fi
  install_packages docker.io docker-compose iptables
  # The engine's own client: one from elsewhere may lack BuildKit.
  PATH=/usr/bin:$PATH
  export DOCKER_HOST=unix://$WORK/docker.sock
  setsid dockerd --data-root="$WORK/docker" --exec-root="$WORK/exec" --pidfile="$WORK/dockerd.pid" -H "$DOCKER_HOST" \
    >"$WORK/dockerd.log" 2>&1 </dev/null &
  wait_for "the Docker engine ($WORK/dockerd.log)" 60 docker info
}

stop_engine() {
  [ -s "$WORK/dockerd.pid" ] || return 0
  local pid; pid=$(cat "$WORK/dockerd.pid")
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
}

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# Where no registry is reached, the base is made as Debian makes it.
debian_base() {
  if have_image debian:12-slim || docker pull -q debian:12-slim >/dev/null 2>&1; then return; fi
  install_packages debootstrap
  debootstrap --variant=minbase bookworm "$WORK/debian" http://deb.debian.org/debian >"$WORK/debootstrap.log"
  rm -rf "$WORK"/debian/var/cache/apt/archives/*.deb "$WORK"/debian/var/lib/apt/lists/*
  tar -C "$WORK/debian" -c . | docker import - debian:12-slim >/dev/null
  rm -rf "$WORK/debian"
}

stand_ins() {
  local image target
  for image in "${STAND_INS[@]}"; do
    if have_image "$image" || docker pull -q "$image" >/dev/null 2>&1; then continue; fi
    target=${image%%:*}
    DOCKER_BUILDKIT=1 docker build -q --network host -f "$ROOT/tests/ops/stand-ins/Dockerfile" --target "${target##*/}" -t "$image" \
      "$ROOT/tests/ops/stand-ins" >/dev/null
  done
}
