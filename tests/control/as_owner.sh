#!/bin/sh
# Runs a command with a DATABASE_URL whose user is a plain login: it owns its database and may make
# roles, and row security binds it. That is how a managed PostgreSQL looks. Run by pg.sh.
set -eu
psql "$DATABASE_URL" -X -q -v ON_ERROR_STOP=1 <<SQL
CREATE ROLE plain_owner LOGIN CREATEROLE;
CREATE DATABASE plain OWNER plain_owner;
SQL
DATABASE_URL=$(echo "$DATABASE_URL" | sed 's,///ringbridge,///plain,; s,user=postgres,user=plain_owner,')
export DATABASE_URL
exec "$@"
