-- A database and a role for one service, least rights: the role owns its database and cannot connect to another's.
-- psql variables: service, password. Harmless to repeat; a new password takes effect.
SELECT format('CREATE ROLE %I LOGIN', 'flotilla_' || :'service')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flotilla_' || :'service') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', 'flotilla_' || :'service', :'password') \gexec
SELECT format('CREATE DATABASE %1$I OWNER %1$I', 'flotilla_' || :'service')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'flotilla_' || :'service') \gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', 'flotilla_' || :'service') \gexec
