# What the operators' tests share. Sourced; the caller has `set -euo pipefail`.
# shellcheck shell=bash disable=SC2034
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${FLOTILLA_BIN:-$ROOT/build/release/bin}
. "$ROOT/deploy/local/lib.sh"

step() { printf '\n== %s\n' "$*"; }

# Tools that come as Go modules, built once and kept.
TOOLS=${FLOTILLA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/flotilla/tools}
go_tool() {  # go_tool <name> <folder of its module> <package>
  if [ -x "$TOOLS/$1" ]; then return; fi
  command -v go >/dev/null || die "Go 1.25 or newer is needed, to build $1"
  echo "building $1"
  mkdir -p "$TOOLS"
  (cd "$ROOT/tests/ops/$2" && go build -trimpath -ldflags '-s -w' -o "$TOOLS/$1" "$3")
}

# Looks for a block of free ports, so that tests and fleets can run beside one another. All of them, with those of metrics (+100),
# Prometheus (+200) and second instances (+300), are below the ports that the kernel gives to outgoing connections: one of those could
# take the port of a server that is just being restarted.
free_ports() {
  local port taken
  for _ in $(seq 50); do
    default_ports $((RANDOM % 15000))
    taken=0
    for port in "$PORT_POSTGRES" "$PORT_REDIS" "$PORT_ETCD" "$PORT_ETCD_PEER" "$PORT_NATS" $((PORT_ORDER + 200)) \
      "$PORT_ORDER" "$PORT_INVENTORY" \
      "$PORT_PAYMENT" "$PORT_NOTIFY"; do
      if port_open "$port"; then taken=1; fi
    done
    for port in "$PORT_ORDER" "$PORT_INVENTORY" "$PORT_PAYMENT" "$PORT_NOTIFY"; do
      if port_open $((port + METRICS_OFFSET)) || port_open $((port + 300)); then taken=1; fi
    done
    [ $taken = 1 ] || return 0
  done
  die "found no free ports"
}

# A call that may be repeated, five times at most.
insist() {
  local n
  for n in 1 2 3 4; do call_as load operator "$@" >/dev/null 2>&1 && return; sleep 1; done
  call_as load operator "$@" >/dev/null
}

# The wallets and SKUs that flotilla-load spends: user-0 ..., sku-0 ...
seed_load() {  # seed_load <inventory address> <payment address> [users]
  local n money='"currency_code":"EUR","minor_units"'
  for n in $(seq 0 9); do
    insist "$1" flotilla.inventory.v1.InventoryService/PutSku \
      "{\"sku\":\"sku-$n\",\"name\":\"Load\",\"price\":{$money:100},\"initial_quantity\":1000000}"
  done
  for n in $(seq 0 $((${3:-64} - 1))); do
    insist "$2" flotilla.payment.v1.PaymentService/OpenAccount "{\"user_id\":\"user-$n\",\"currency_code\":\"EUR\"}"
    insist "$2" flotilla.payment.v1.PaymentService/Deposit \
      "{\"user_id\":\"user-$n\",\"deposit_id\":\"load-$n\",\"amount\":{$money:100000000}}"
  done
}

# Waits until sagas have ended and events are delivered. The caller defines query <service> <sql>.
events_before=
at_rest() {
  local events handled
  [ "$(query order 'SELECT count(*) FROM saga')" = 0 ] || return 1
  events=$(query order 'SELECT count(*) FROM event') handled=$(query notify 'SELECT count(*) FROM handled_event')
  [ "$events" = "$handled" ] || return 1
  # A call that its client gave up may still be under way, so rest means: nothing new since last time.
  [ "$events" = "$events_before" ] || { events_before=$events; sleep 1; return 1; }
}

# Of a fleet that deploy/local/lib.sh runs.
check_promises() {  # check_promises <log of the clients> [flags...]
  local log=$1; shift
  "$BIN/flotilla-check" --quiescent --client_log="$log" --redis="127.0.0.1:$PORT_REDIS" --order_postgres="$(uri_of order)" \
    --inventory_postgres="$(uri_of inventory)" --payment_postgres="$(uri_of payment)" --notify_postgres="$(uri_of notify)" "$@"
}
