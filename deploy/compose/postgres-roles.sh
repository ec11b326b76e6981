#!/bin/sh
# Runs once, when the volume of the database is empty: the owner of the tables, for migrations, and the role of the portal, which
# changes no table and only appends to the audit log. Their passwords are those of the two URLs, which are made of hexadecimal digits.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set owner_password `sed -E 's|^[a-z]+://[^:]+:([^@]*)@.*|\1|' /run/secrets/database_migration_url`
\set portal_password `sed -E 's|^[a-z]+://[^:]+:([^@]*)@.*|\1|' /run/secrets/database_url`
CREATE ROLE gatehouse_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE gatehouse LOGIN PASSWORD :'portal_password';
CREATE DATABASE gatehouse OWNER gatehouse_owner;
REVOKE ALL ON DATABASE gatehouse FROM PUBLIC;
GRANT CONNECT ON DATABASE gatehouse TO gatehouse;
SQL
