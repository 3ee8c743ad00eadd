#!/usr/bin/env bash
# Makes every service's database and role; a job of the container set-ups. Harmless to repeat.
#   PGHOST, PGUSER   the server and its administrator
#   SECRETS          folder with one password a file: postgres (the administrator's), order, inventory, payment, notify
set -euo pipefail
PGPASSWORD=$(cat "$SECRETS/postgres")
export PGPASSWORD PGCONNECT_TIMEOUT=5
for service in order inventory payment notify; do
  # Passwords go by standard input: a command line can be read by others.
  {
    printf '\\set service %s\n\\set password %s\n' "$service" "$(cat "$SECRETS/$service")"
    cat "$(dirname "$0")/service.sql"
  } | psql -X -q -v ON_ERROR_STOP=1 -d postgres
done
