# shellcheck shell=bash
# Sourced first by scripts that run once for each version of PostgreSQL:
#
#     . "$(dirname "$0")/each_version.sh" SECONDS DEFAULTS [VERSION...]
#
# DEFAULTS is one word, "15 17". Without HQ_VERSION in the environment the script is run again for
# each, that long at most, with HQ_VERSION and HQ_PG_BIN, and ends.
if [ -z "${HQ_VERSION:-}" ]; then
    seconds=$1 versions=$2 status=0
    shift 2
    # Several may come as one word.
    # shellcheck disable=SC2048,SC2086
    for version in ${*:-$versions}; do
        if ! bin=$(sh "$(dirname "$0")/../lab/postgres.sh" "$version"); then
            echo "not ok - $version: its server can't be installed"
            status=1
            continue
        fi
        HQ_VERSION=$version HQ_PG_BIN=$bin timeout "$seconds" bash "$0" || status=1
    done
    exit "$status"
fi
