# Functions that start and stop private servers and the fleet as plain processes. Sourced by up, down, status, logs, tests/run
# and bench/run. The caller sets ROOT (the checkout), DATA (the data folder), BIN (the folder of the binaries) and the PORT_* variables.
# Tests and benchmarks run with AUTH=off, the default here; with AUTH=on IDENTITY is the folder that dev-ca has made.
# shellcheck shell=bash

PG_BIN=/usr/lib/postgresql/15/bin
SERVERS=(postgres redis etcd nats)
SERVICES=(inventory payment notify order)

AUTH=${AUTH:-off}
if [ "$AUTH" = on ]; then export FLOTILLA_CA=$IDENTITY/ca.crt; else unset FLOTILLA_CA FLOTILLA_TOKEN; fi

die() { echo "${0##*/}: $*" >&2; exit 1; }

# One line a port, so that an operator can set each: FLOTILLA_PORT_POSTGRES=... and so on.
default_ports() {
  local base=${1:-0}
  PORT_POSTGRES=${FLOTILLA_PORT_POSTGRES:-$((15432 + base))}
  PORT_REDIS=${FLOTILLA_PORT_REDIS:-$((16379 + base))}
  PORT_ETCD=${FLOTILLA_PORT_ETCD:-$((12379 + base))}
  PORT_ETCD_PEER=${FLOTILLA_PORT_ETCD_PEER:-$((12380 + base))}
  PORT_NATS=${FLOTILLA_PORT_NATS:-$((14222 + base))}
  PORT_ORDER=${FLOTILLA_PORT_ORDER:-$((17001 + base))}
  PORT_INVENTORY=${FLOTILLA_PORT_INVENTORY:-$((17002 + base))}
  PORT_PAYMENT=${FLOTILLA_PORT_PAYMENT:-$((17003 + base))}
  PORT_NOTIFY=${FLOTILLA_PORT_NOTIFY:-$((17004 + base))}
  METRICS_OFFSET=${FLOTILLA_METRICS_OFFSET:-100}
}

# Where a service answers: on its port here, unless FLOTILLA_ADDRESS_<SERVICE> says otherwise.
address_of() { local name="FLOTILLA_ADDRESS_${1^^}"; echo "${!name:-127.0.0.1:$(port_of "$1")}"; }
port_of() { local name="PORT_${1^^}"; echo "${!name}"; }
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A pid file holds the pid and when it started, since another process may have the pid after a reboot. A zombie is dead.
started_at() {  # started_at <pid>: clock ticks since boot; fails where it does not run
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}
pid_of() { local pid rest; if read -r pid rest <"$DATA/run/$1.pid"; then echo "$pid"; fi 2>/dev/null; }
running() {
  local pid start
  [ -s "$DATA/run/$1.pid" ] && read -r pid start <"$DATA/run/$1.pid" && [ "$(started_at "$pid")" = "$start" ]
}

# What runs already keeps its port; anything else on it is named.
require_free_port() {
  running "$1" || ! port_open "$2" ||
    die "port $2 ($1) is taken by another process; set FLOTILLA_PORT_${3:-${1^^}} to a free one"
}

wait_for() {  # wait_for <what> <seconds> <command...>
  local what=$1 until=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $until ]; then
      [ ! -s "$DATA/log/$what.log" ] || tail -n 5 "$DATA/log/$what.log" >&2
      die "$what did not become ready; see $DATA/log"
    fi
    sleep 0.1
  done
}

start_process() {  # start_process <name> <command...>: detached, log and pid file under DATA
  local name=$1; shift
  setsid "$@" >>"$DATA/log/$name.log" 2>&1 </dev/null &
  echo "$! $(started_at $!)" >"$DATA/run/$name.pid"
}

# PostgreSQL refuses to run as root, so root lends it an unprivileged user.
AS_POSTGRES=()
if [ "$(id -u)" = 0 ]; then AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --init-groups --); fi

prepare_data() {
  mkdir -p "$DATA"/{run,log,etcd,nats,redis,secrets,postgres} ||
    die "cannot create the data folder $DATA; set FLOTILLA_DATA to a writable one"
  chmod 755 "$DATA" && chmod 700 "$DATA/secrets"
  if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres "$DATA/postgres"
    "${AS_POSTGRES[@]}" test -w "$DATA/postgres" || die "user postgres cannot reach $DATA; set FLOTILLA_DATA to a folder it can reach"
  fi
  chmod 700 "$DATA/postgres"
}

secret() {  # secret <name>: made once, then kept
  [ -s "$DATA/secrets/$1" ] || (umask 077; od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$DATA/secrets/$1")
  cat "$DATA/secrets/$1"
}

start_postgres() {
  running postgres && return
  local dir=$DATA/postgres/data
  if [ ! -s "$dir/PG_VERSION" ]; then
    rm -rf "$dir"
    secret postgres >/dev/null
    # Only its owner may open /dev/stdin, so the password goes by a file of that user.
    (umask 077; cp "$DATA/secrets/postgres" "$DATA/postgres/password")
    [ "$(id -u)" != 0 ] || chown postgres "$DATA/postgres/password"
    "${AS_POSTGRES[@]}" "$PG_BIN/initdb" -D "$dir" -U postgres --auth=scram-sha-256 --pwfile="$DATA/postgres/password" \
      --no-locale -E UTF8 >"$DATA/log/initdb.log"
    rm -f "$DATA/postgres/password"
  fi
  # shellcheck disable=SC2086
  start_process postgres "${AS_POSTGRES[@]}" "$PG_BIN/postgres" -D "$dir" -p "$PORT_POSTGRES" -k '' \
    -c listen_addresses=127.0.0.1 -c max_connections=300 -c shared_buffers=256MB -c max_wal_size=4GB \
    -c wal_compression=on -c checkpoint_timeout=15min ${POSTGRES_OPTIONS:-}
  wait_for PostgreSQL 120 psql_admin -c 'select 1'
}

psql_admin() {  # psql_admin [-d database] ...
  PGPASSWORD=$(secret postgres) psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PORT_POSTGRES" -U postgres "$@"
}

create_databases() {
  local service
  for service in "${SERVICES[@]}"; do secret "$service" >/dev/null && secret "${service}_owner" >/dev/null; done
  SECRETS=$DATA/secrets PGHOST=127.0.0.1 PGPORT=$PORT_POSTGRES PGUSER=postgres "$ROOT/deploy/postgres/databases.sh"
}

uri_of() { echo "postgresql://flotilla_$1${2:-}:$(secret "$1${2:-}")@127.0.0.1:$PORT_POSTGRES/flotilla_$1"; }  # uri_of <service> [_owner]

# As the owner of the tables, whose password the service that serves does not get.
migrate() {  # migrate <service> [flags...]
  local service=$1; shift
  FLOTILLA_POSTGRES=$(uri_of "$service") FLOTILLA_OWNER_POSTGRES=$(uri_of "$service" _owner) \
    "$BIN/flotilla-$service" --migrations=only --metrics_listen= "$@" >>"$DATA/log/$service.log" 2>&1 ||
    die "the schema of $service cannot be brought up to date; see $DATA/log/$service.log"
}

start_redis() {
  running redis && return
  start_process redis redis-server --port "$PORT_REDIS" --bind 127.0.0.1 --dir "$DATA/redis" --save '' --appendonly no
  wait_for Redis 60 redis-cli -p "$PORT_REDIS" ping
}

start_etcd() {
  running etcd && return
  start_process etcd etcd --name flotilla --data-dir "$DATA/etcd" --log-level warn \
    --listen-client-urls "http://127.0.0.1:$PORT_ETCD" --advertise-client-urls "http://127.0.0.1:$PORT_ETCD" \
    --listen-peer-urls "http://127.0.0.1:$PORT_ETCD_PEER" --initial-advertise-peer-urls "http://127.0.0.1:$PORT_ETCD_PEER" \
    --initial-cluster "flotilla=http://127.0.0.1:$PORT_ETCD_PEER"
  wait_for etcd 60 etcdctl --endpoints="127.0.0.1:$PORT_ETCD" endpoint health
}

start_nats() {
  running nats && return
  # Its heap is small: collecting it at four times its size instead of twice halves the collector's CPU. On a machine that it shares
  # with everything else, a second thread of Go's scheduler mostly looks for work: a fifth of its CPU.
  GOGC=400 GOMAXPROCS=1 start_process nats nats-server -a 127.0.0.1 -p "$PORT_NATS" -js -sd "$DATA/nats"
  wait_for NATS 60 port_open "$PORT_NATS"
}

start_servers() {
  local server
  for server in "${SERVERS[@]}"; do require_free_port "$server" "$(port_of "$server")"; done
  running etcd || require_free_port etcd "$PORT_ETCD_PEER" ETCD_PEER
  start_postgres
  start_redis
  start_etcd
  start_nats
  create_databases
}

token() { "$BIN/flotilla-token" --token_key="$IDENTITY/token.key" --user="$1" --role="${2:-}"; }  # token <user> [role]
call_as() {  # call_as <user> <role or ''> <arguments of flotilla-call...>
  local user=$1 role=$2; shift 2
  if [ "$AUTH" = on ]; then
    FLOTILLA_TOKEN=$(token "$user" "$role") "$BIN/flotilla-call" "$@"
  else
    "$BIN/flotilla-call" "$@" -H "flotilla-user: $user"
  fi
}

identity_flags() {  # identity_flags <service>: one a line
  if [ "$AUTH" != on ]; then echo --auth=off; return; fi
  local own=$IDENTITY/$1
  printf '%s\n' --tls_cert_file="$own/tls.crt" --tls_key_file="$own/tls.key" --tls_ca_file="$own/ca.crt" \
    --jwks_file="$own/jwks.json" --token_issuer=flotilla-development --token_audience=flotilla
}

start_service() {  # start_service <service> [flags...]
  local service=$1 port identity; shift
  running "$service" && return
  mapfile -t identity < <(identity_flags "$service")
  port=$(port_of "$service")
  require_free_port "$service" "$port"
  migrate "$service" "$@"
  # The connection string holds a password, so it goes by the environment, not by the command line.
  FLOTILLA_POSTGRES=$(uri_of "$service") start_process "$service" "$BIN/flotilla-$service" --migrations=skip \
    --listen="127.0.0.1:$port" --metrics_listen="127.0.0.1:$((port + METRICS_OFFSET))" \
    --etcd="127.0.0.1:$PORT_ETCD" --redis="127.0.0.1:$PORT_REDIS" --nats="nats://127.0.0.1:$PORT_NATS" "${identity[@]}" "$@"
}

start_fleet() {
  local service
  for service in "${SERVICES[@]}"; do start_service "$service"; done
  for service in "${SERVICES[@]}"; do
    wait_for "$service" 60 "$BIN/flotilla-call" "127.0.0.1:$(port_of "$service")" grpc.health.v1.Health/Check '{}' --expect=SERVING
  done
}

stop_one() {  # TERM, then KILL after 20 s
  local pid until=$((SECONDS + 20))
  if running "$1"; then
    pid=$(pid_of "$1")
    # PostgreSQL's fast shutdown is SIGINT.
    kill "-$([ "$1" = postgres ] && echo INT || echo TERM)" "$pid" 2>/dev/null || true
    while running "$1" && [ $SECONDS -lt $until ]; do sleep 0.1; done
    if running "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$DATA/run/$1.pid"
}

stop_all() {
  local name
  for name in order notify payment inventory nats etcd redis postgres; do stop_one "$name"; done
}
