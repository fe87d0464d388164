#!/bin/sh
# Installs what hq-backup needs on Debian 12: `sh docs/packages.sh build`, or `… test` for the
# tests as well, or `… bench` for the benchmarks. Does nothing when everything is there; needs root otherwise.
set -eu

build="cmake ninja-build gcc libc6-dev pkg-config libpq-dev libcurl4-openssl-dev libarchive-dev
libsodium-dev libzstd-dev libxxhash-dev libsqlite3-dev libssl-dev libyaml-dev libjansson-dev
libexpat1-dev libmicrohttpd-dev postgresql-15"
test="$build git libcmocka-dev clang clang-format libclang-rt-14-dev python3 python3-nacl
python3-zstandard python3-xxhash mandoc bsdextrautils libfaketime strace procps openssl curl ceph-mon ceph-osd radosgw ceph-common
swift-proxy swift-account swift-container swift-object haproxy iproute2
python3-psycopg2 prometheus"

# Servers of other major versions are npm packages; a node that brings its own npm will do.
command -v npm >/dev/null || test="$test nodejs npm"
bench="$build python3 procps openssl curl ceph-mon ceph-osd radosgw ceph-common pgbackrest
restic borgbackup zstd linux-perf"

case "${1:-build}" in
build) wanted=$build ;;
test) wanted=$test ;;
bench) wanted=$bench ;;
*) echo "usage: sh docs/packages.sh [build|test|bench]" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "These packages are missing and installing them needs root:$missing" >&2
    exit 1
fi
echo "Installing:$missing"
# No service is to be started by installing a package: tests start their own.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
