#!/usr/bin/env bash
# Makes every service's database and its two roles; a job of the container set-ups. Harmless to repeat.
#   PGHOST, PGUSER   the server and its administrator
#   SECRETS          folder with one password a file: postgres (the administrator's), and of each service <service> and
#                    <service>_owner
set -euo pipefail
PGPASSWORD=$(cat "$SECRETS/postgres")
export PGPASSWORD PGCONNECT_TIMEOUT=5
for service in order inventory payment notify; do
  # Passwords go by standard input: a command line can be read by others.
  {
    printf '\\set service %s\n\\set password %s\n\\set owner_password %s\n' "$service" "$(cat "$SECRETS/$service")" \
      "$(cat "$SECRETS/${service}_owner")"
    cat "$(dirname "$0")/service.sql"
  } | psql -X -q -v ON_ERROR_STOP=1 -d postgres
done
# Whoever may log in may connect to these two, by default.
psql -X -q -v ON_ERROR_STOP=1 -d postgres -c 'REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC'
