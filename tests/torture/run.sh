#!/bin/bash
# Torture: PostgreSQL under load, faults at random, restores compared row by row with what the
# clients were told. README.md beside this file says what is proven and how.
#
#     tests/torture/run.sh [--seed N] [--rounds N] [--seconds N] [--help for the rest]
#
# Runs as root in namespaces of its own (processes, mounts, network, IPC): when it ends, by itself
# or not, nothing is left running or mounted. What a failing run leaves is its directory of logs.
#
# Environment: HQ_BUILD (directory of programs; default build/dev/bin), HQ_PG_BIN.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export HQ_BUILD=${HQ_BUILD:-$top/build/dev/bin} HQ_PG_BIN=${HQ_PG_BIN:-/usr/lib/postgresql/15/bin}
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
unset "${!PG@}" "${!HQ_S3_@}" "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

case " $* " in
*" --help "* | *" -h "* | *" --list "*) exec /usr/bin/python3 "$here/torture.py" "$@" ;;
esac
if [ "${1:-}" != --inside ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "not ok - torture needs root, for namespaces and mounts"
        exit 1
    fi
    exec unshare --mount --net --ipc --pid --fork --kill-child --mount-proc \
        --propagation private bash "$0" --inside "$@"
fi
shift
ip link set lo up
# Not exec: the first process of the namespace takes over orphans, and bash reaps them.
/usr/bin/python3 "$here/torture.py" "$@" &
driver=$!
trap 'kill -INT $driver; wait $driver; exit 130' INT TERM
status=0
wait $driver || status=$?
exit $status
