#!/bin/sh
# A private PostgreSQL cluster on a Unix socket: for tests and for ./dev.
#
#   tests/control/pg.sh start DIR   makes the cluster in DIR when there is none, starts it when it
#                                   does not run, and prints its DATABASE_URL
#   tests/control/pg.sh stop DIR    stops it (the data stays)
#   tests/control/pg.sh crash DIR   the same without any ceremony, as a power cut would
#   tests/control/pg.sh run DIR COMMAND...  start, run with DATABASE_URL set, stop; DIR is removed
#                                   when it is "" (a temporary one is made)
#
# PostgreSQL refuses to run as root, so as root it runs as the system user postgres, who gets DIR;
# where that user may not enter (a clone under /root), it runs in a user namespace in which we are
# somebody else, and DIR stays ours.
# There is no TCP listener; trust is the rights of the socket's directory (0700).
# PG_FSYNC=off in the environment makes throw-away clusters faster; never for data that matters.
set -eu

die() {
    echo "pg.sh: $*" >&2
    exit 1
}

find_bin() {
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -n -r); do
        [ -x "$dir/initdb" ] && echo "$dir" && return
    done
    command -v initdb >/dev/null 2>&1 && dirname "$(command -v initdb)" && return
    die "PostgreSQL is not installed: apt-get install postgresql"
}

as_postgres() {
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/ "$@")
}

# As root: as the user postgres where it may enter DIR's parent, else under another name. Else: as we are.
# $dir is set by whoever calls.
as_server() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    elif as_postgres test -x "$(dirname "$dir")"; then
        as_postgres "$@"
    else
        (cd / && unshare --user --map-user="$(id -u postgres)" --map-group="$(id -g postgres)" env HOME=/ "$@")
    fi
}

# libpq wants the socket's directory in the URL percent-encoded; ours holds plain characters only.
url() {
    echo "postgresql:///ringbridge?host=$(echo "$1/socket" | sed 's,/,%2F,g')&user=postgres"
}

is_running() {
    as_server "$bin/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

make_cluster() {
    dir=$1
    mkdir -p "$dir"
    chmod 700 "$dir"
    if [ "$(id -u)" = 0 ] && as_postgres test -x "$(dirname "$dir")"; then
        chown postgres:postgres "$dir"
    fi
    as_server test -w "$dir" || die "PostgreSQL may not enter $dir: choose a directory under /var or /tmp"
    as_server mkdir -p "$dir/socket"
    sync=$([ "${PG_FSYNC:-on}" = off ] && echo --no-sync || :)
    as_server "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
        --no-instructions $sync >"$dir.initdb.log" 2>&1 || { cat "$dir.initdb.log" >&2; die "initdb failed"; }
    rm -f "$dir.initdb.log"
}

start() {
    mkdir -p "$1"
    dir=$(cd "$1" && pwd -P)
    # A socket's path has room for 107 bytes.
    [ "$(printf %s "$dir/socket/.s.PGSQL.5432" | wc -c)" -le 107 ] || die "the path $dir is too long for a socket"
    [ -f "$dir/data/PG_VERSION" ] || make_cluster "$dir"
    if ! is_running "$dir"; then
        as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -s start -o \
            "-c listen_addresses='' -c unix_socket_directories='$dir/socket' -c unix_socket_permissions=0700 -c fsync=${PG_FSYNC:-on} -c max_connections=100" ||
            { tail -20 "$dir/log" >&2; die "PostgreSQL did not start"; }
    fi
    as_server "$bin/psql" -h "$dir/socket" -U postgres -d postgres -qAtc \
        "SELECT 1 FROM pg_database WHERE datname = 'ringbridge'" | grep -q 1 ||
        as_server "$bin/createdb" -h "$dir/socket" -U postgres ringbridge
    url "$dir"
}

stop() {
    [ -d "$1" ] || return 0
    dir=$(cd "$1" && pwd -P)
    if is_running "$dir"; then
        as_server "$bin/pg_ctl" -D "$dir/data" -w -t 60 -s -m "$2" stop
    fi
}

run() {
    dir=$1
    shift
    temporary=
    if [ -z "$dir" ]; then
        dir=$(mktemp -d /tmp/ringbridge-pg.XXXXXX)
        temporary=$dir
    fi
    trap 'stop "$dir" fast || :; [ -z "$temporary" ] || rm -rf "$temporary"' EXIT
    trap 'exit 130' INT TERM
    DATABASE_URL=$(start "$dir")
    export DATABASE_URL
    PG_DIR=$dir PG_SH=$here/pg.sh "$@"
}

bin=$(find_bin)
here=$(cd "$(dirname "$0")" && pwd -P)
case "${1:-}" in
start) [ $# -eq 2 ] || die "start DIR" && start "$2" ;;
stop) [ $# -eq 2 ] || die "stop DIR" && stop "$2" fast ;;
crash) [ $# -eq 2 ] || die "crash DIR" && stop "$2" immediate ;;
run) [ $# -ge 3 ] || die "run DIR COMMAND..." && shift && run "$@" ;;
*) die "start DIR | stop DIR | crash DIR | run DIR COMMAND..." ;;
esac
