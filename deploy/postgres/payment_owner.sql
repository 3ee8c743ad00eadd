-- The role that owns payment's tables, so that the service's own role can add to the ledger but not rewrite it. Run in
-- payment's database, as an administrator; the service is then given --owner_postgres. psql variable: password. Harmless
-- to repeat; takes over what the service's role owned before.
SELECT 'CREATE ROLE flotilla_payment_owner LOGIN'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flotilla_payment_owner') \gexec
SELECT format('ALTER ROLE flotilla_payment_owner PASSWORD %L', :'password') \gexec
REASSIGN OWNED BY flotilla_payment TO flotilla_payment_owner;
GRANT CONNECT ON DATABASE flotilla_payment TO flotilla_payment;
