#!/bin/sh
# Migrations: in order, once, by two processes at once, never over a changed history, and with words
# that help where rights are missing. Run by pg.sh; $1 is ringbridge-control.
set -eu
control=$1
base=$DATABASE_URL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
steps=$(ls "$(dirname "$0")"/../../sql/[0-9]*.sql | wc -l)

die() {
    echo "migrate_test: $*" >&2
    exit 1
}
ask() { psql "$DATABASE_URL" -X -qAt -v ON_ERROR_STOP=1 -c "$1"; }
fresh() { # fresh NAME [OWNER]: a new database, DATABASE_URL points at it
    psql "$base" -X -q -c "CREATE DATABASE $1 ${2:+OWNER $2}"
    DATABASE_URL=$(echo "$base" | sed "s,///ringbridge,///$1,; s,user=postgres,user=${2:-postgres},")
    export DATABASE_URL
}
fails_with() { # fails_with WORDS: migrate exits 1 and says WORDS
    "$control" migrate >"$work/out" 2>&1 && die "migrate did not fail ($1)"
    grep -q "$1" "$work/out" || die "expected \"$1\", got: $(cat "$work/out")"
}

# Every file of sql/ is in the program.
fresh whole
"$control" migrate >"$work/out"
[ "$(grep -c '^applied ' "$work/out")" = "$steps" ] || die "sql/ has $steps files: $(cat "$work/out")"
"$control" migrate | grep -q 'nothing to do' || die "a second run does something"
[ "$(ask 'SELECT count(*), min(number), max(number) FROM schema_migrations')" = "$steps|1|$steps" ] ||
    die "schema_migrations is not what was applied"

# Two (and four) processes at once: each step is applied by exactly one of them, all succeed.
for round in 1 2 3 4; do
    fresh "race$round"
    for process in 1 2 3 4; do
        "$control" migrate >"$work/race$process" 2>&1 &
        eval "pid$process=$!"
    done
    for process in 1 2 3 4; do
        eval "wait \$pid$process" || die "a process failed: $(cat "$work/race$process")"
    done
    [ "$(cat "$work"/race? | grep -c '^applied ')" = "$steps" ] || die "a step was applied twice"
done

# An applied file that was changed, and a database from the future.
ask "UPDATE schema_migrations SET sha256 = 'other' WHERE number = 2"
fails_with 'sql/0002_calls.sql was changed after it was applied'
fresh future
"$control" migrate >/dev/null
ask "INSERT INTO schema_migrations VALUES ($steps + 1, 'later.sql', 'x')"
fails_with 'Install the newer program'
"$control" doctor 2>&1 | grep -q 'newer than this program' || die "doctor does not notice"

# A step that fails leaves nothing behind and can be repeated.
fresh half
ask 'CREATE TABLE conversations (id integer)'
fails_with 'sql/0002_calls.sql failed and was rolled back'
[ "$(ask "SELECT max(number) FROM schema_migrations")" = 1 ] || die "half a step stays"
[ -z "$(ask "SELECT 1 FROM pg_type WHERE typname = 'call_status'")" ] || die "half a step stays"
ask 'DROP TABLE conversations'
"$control" migrate | grep -q 'applied 0002' || die "it cannot be taken up again"

# A plain owner: with CREATEROLE it goes all the way; without, words that help, and then the help.
psql "$base" -X -q -c 'CREATE ROLE plain LOGIN CREATEROLE'
fresh plain plain
"$control" migrate >/dev/null || die "a plain owner cannot migrate"
psql "$base" -X -q -c 'CREATE ROLE stranger LOGIN'
fresh stranger stranger
fails_with 'GRANT ringbridge_serving'
psql "$base" -X -q -c 'GRANT ringbridge_serving, ringbridge_gate, ringbridge_api, ringbridge_admin TO stranger'
"$control" migrate >/dev/null || die "the advice does not help"
fresh foreign_house
DATABASE_URL=$(echo "$DATABASE_URL" | sed 's,user=postgres,user=stranger,')
fails_with 'must own the database'

# A role that could bypass row security is not accepted.
fresh bypass
psql "$base" -X -q -c 'ALTER ROLE ringbridge_serving BYPASSRLS'
fails_with 'bypasses row security'
psql "$base" -X -q -c 'ALTER ROLE ringbridge_serving NOBYPASSRLS'

# No database at all.
DATABASE_URL='postgresql:///x?host=/nonexistent' fails_with 'Check DATABASE_URL'
(unset DATABASE_URL; fails_with 'set DATABASE_URL')
echo "migrations hold"
