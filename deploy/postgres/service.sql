-- A database for one service and two roles with least rights: <service>_owner owns the database and migrates it, the
-- service's own role can only connect and gets from the migrations what it needs (libs/postgres/rights.h). Neither can
-- connect to another's database. psql variables: service, password, owner_password. As an administrator; harmless to
-- repeat: a new password takes effect, and what the service's own role owned before goes to the owner.
SELECT 'flotilla_' || :'service' AS role, 'flotilla_' || :'service' || '_owner' AS owner \gset
SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES (:'role'), (:'owner')) AS wanted(name)
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'role', :'password') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'owner', :'owner_password') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'role', :'owner')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'role') \gexec
\connect :role
SELECT format('REASSIGN OWNED BY %I TO %I', :'role', :'owner') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'role') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', :'role', :'role') \gexec
