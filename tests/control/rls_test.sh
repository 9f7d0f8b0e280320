#!/bin/sh
# Migrates an empty database and proves row security over all its tables. Run by pg.sh, which sets
# DATABASE_URL; $1 is ringbridge-control.
set -eu
"$1" migrate >/dev/null
exec psql "$DATABASE_URL" -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$(dirname "$0")/rls_test.sql"
