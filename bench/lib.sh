# What the benchmarks share: the load generator, CPU and memory of processes that deploy/local/lib.sh started. Sourced after it.
# shellcheck shell=bash

find_ghz() {
  for candidate in "${GHZ:-}" "$(command -v ghz || true)" "$HOME/go/bin/ghz"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then echo "$candidate"; return; fi
  done
  command -v go >/dev/null || die "ghz is needed: install Go 1.20 or newer (then this script installs ghz), or set GHZ to its path"
  go install github.com/bojand/ghz/cmd/ghz@v0.93.0 >&2 || die "the Go module proxy cannot be reached; set GHZ to the path of ghz"
  echo "$(go env GOPATH)/bin/ghz"
}

ticks=$(getconf CLK_TCK)
tree() { echo "$1"; local child; for child in $(pgrep -P "$1" || true); do tree "$child"; done; }
cpu_us() {  # CPU of a process, its living children and those already reaped
  local pid total=0 line
  for pid in $(tree "$(pid_of "$1")"); do
    line=$(cut -d')' -f2- "/proc/$pid/stat" 2>/dev/null) || continue
    # shellcheck disable=SC2086
    set -- $line
    total=$((total + ${12} + ${13} + ${14} + ${15}))
  done
  echo $((total * 1000000 / ticks))
}
memory_mb() { awk -v key="${2:-VmHWM}:" '$1 == key {printf "%d", $2 / 1024}' "/proc/$(pid_of "$1")/status"; }  # <process> [VmRSS]: the peak

# PostgreSQL fills each new 16 MB file of its log with zeros, and later uses it again. A server that has been running for a while only does
# the latter, so the files are made before anything is measured.
make_log_files() {
  psql_admin -c "ALTER SYSTEM SET min_wal_size = '1GB'" && psql_admin -c 'SELECT pg_reload_conf()' >/dev/null
  psql_admin -c 'CREATE TABLE log_filler (n int)'
  local n
  for n in $(seq 45); do echo "INSERT INTO log_filler VALUES ($n); SELECT pg_switch_wal();"; done | psql_admin >/dev/null
  psql_admin -c 'DROP TABLE log_filler' && psql_admin -c 'CHECKPOINT'
}

ghz_quiet() { "$GHZ" --insecure --import-paths "$ROOT/proto" -c 100 -O json -o /dev/null "$@" >/dev/null; }
seed_shop() {  # seed_shop <SKUs> <users>: sku-0 ..., each a million units for 1.00; user-0 ..., each with a million in the wallet
  local inventory=127.0.0.1:$PORT_INVENTORY payment=127.0.0.1:$PORT_PAYMENT
  ghz_quiet -n "$1" --proto flotilla/inventory/v1/inventory_service.proto --call flotilla.inventory.v1.InventoryService/PutSku \
    -d '{"sku":"sku-{{.RequestNumber}}","name":"Bench","price":{"currency_code":"EUR","minor_units":"100"},"initial_quantity":"1000000"}' "$inventory"
  ghz_quiet -n "$2" --proto flotilla/payment/v1/payment_service.proto --call flotilla.payment.v1.PaymentService/OpenAccount \
    -d '{"user_id":"user-{{.RequestNumber}}","currency_code":"EUR"}' "$payment"
  ghz_quiet -n "$2" --proto flotilla/payment/v1/payment_service.proto --call flotilla.payment.v1.PaymentService/Deposit \
    -d '{"user_id":"user-{{.RequestNumber}}","deposit_id":"d-{{.RequestNumber}}","amount":{"currency_code":"EUR","minor_units":"100000000"}}' "$payment"
}
# What ghz needs for one order, of one unit.
create=(--proto flotilla/order/v1/order_service.proto --call flotilla.order.v1.OrderService/CreateOrder)
body() { echo "{\"idempotency_key\":\"$1-{{.RequestNumber}}\",\"items\":[{\"sku\":\"$2\",\"quantity\":\"1\"}],\"payment_method\":\"PAYMENT_METHOD_WALLET\"}"; }
