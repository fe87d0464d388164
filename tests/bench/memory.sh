#!/bin/bash
# Peak memory and CPU seconds of a restore as backups and repositories grow, and what scattered pages
# cost. Writes made-up backups (make_backup), restores each, and prints a table in Markdown.
#
#     bash tests/bench/memory.sh          HQ_BUILD=build/release/bin
here=$(cd "$(dirname "$0")" && pwd)
build=${HQ_BUILD:-$here/../../build/release/bin}
tools=$here/../../build/bench # the release build has no tests
cmake -S "$here/../.." --preset release -B "$tools" -DHQ_TESTS=ON >/dev/null && cmake --build "$tools" --target make_backup >/dev/null || exit 1
tool=$tools/tests/make_backup
scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/hq-memory.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# measure COMMAND...: "wall-seconds cpu-seconds peak-MiB"
measure() {
    /usr/bin/python3 - "$@" <<'PY'
import resource, subprocess, sys, time
began = time.monotonic()
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if status != 0:
    sys.exit(f"{sys.argv[1]} ended with {status}")
print(f"{wall:.2f} | {used.ru_utime + used.ru_stime:.2f} | {used.ru_maxrss // 1024}")
PY
}
# row WHAT FILES CHUNKS RELATIONS LIVE
row() {
    local what=$1 restore; shift
    rm -rf "${scratch:?}"/*
    "$build/hq-backup" init --repository "$scratch/repository" --region XX --writer bench --no-passphrase \
        --sidecar-key "$scratch/sidecar.key" --restore-key "$scratch/restore.key" >/dev/null || exit 1
    "$tool" "$scratch/repository" "$scratch/sidecar.key" "$@" || exit 1
    restore=("$build/hq-restore" pg --quiet --repository "$scratch/repository" --key "$scratch/restore.key" --latest --to "$scratch/r")
    echo "| $what | $(measure "${restore[@]}") |"
    echo "| … the same again, with --delta | $(measure "${restore[@]}" --delta) |"
}
echo "| backup | wall s | CPU s | peak MiB |"
echo "|---|---|---|---|"
row "1,000 files" 1000 0 0 0
row "100,000 files" 100000 0 0 0
row "100,000 files, 5 million chunks in the repository" 100000 4900000 0 0
row "1 GiB of pages in the order of the file" 0 0 16 0
row "1 GiB of pages, each from anywhere, chunks of 64" 0 0 16 64
row "1 GiB of pages, each from anywhere, 45 of a chunk's 64 alive" 0 0 16 45
