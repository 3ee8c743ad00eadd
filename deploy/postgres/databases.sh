#!/usr/bin/env bash
# Makes every service's database and role, and the owner of payment's tables; a job of the container set-ups. Harmless to repeat.
#   PGHOST, PGUSER   the server and its administrator
#   SECRETS          folder with one password a file: postgres (the administrator's), order, inventory, payment, notify,
#                    payment_owner
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
{
  printf '\\set password %s\n' "$(cat "$SECRETS/payment_owner")"
  cat "$(dirname "$0")/payment_owner.sql"
} | psql -X -q -v ON_ERROR_STOP=1 -d flotilla_payment
