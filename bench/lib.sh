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
