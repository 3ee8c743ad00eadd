# Where this checkout's local fleet lives. Sourced by up, down, status and logs.
# shellcheck shell=bash disable=SC2034
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ "$(id -u)" = 0 ]; then DATA=${FLOTILLA_DATA:-/var/lib/flotilla}; else DATA=${FLOTILLA_DATA:-$HOME/.local/share/flotilla}; fi
BIN=${FLOTILLA_BIN:-$ROOT/build/release/bin}
AUTH=${FLOTILLA_AUTH:-on}
IDENTITY=${FLOTILLA_IDENTITY:-$DATA/identity}
. "$ROOT/deploy/local/lib.sh"
default_ports
