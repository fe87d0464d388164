#!/bin/bash
# posix_sync.sh STORAGE_TOOL: watches the directory driver's system calls and checks the order
# that makes a put or delete survive a power cut: contents, fsync, rename, fsync of the directory,
# and every new directory fsynced into its parent, all before the call returns.
set -euo pipefail

tool=$(realpath "$1")
area=$(mktemp -d /tmp/hq-sync-XXXXXX)
trap 'rm -rf "$area"' EXIT
root=$area/repository
calls=mkdirat,mkdir,write,pwrite64,copy_file_range,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlinkat,unlink

command -v strace > /dev/null || { echo "strace is missing" >&2; exit 1; }

# trace FILE ARGUMENT...: run the tool under strace.
trace() {
    strace -f -y -e trace="$calls" -o "$1" "$tool" "$root" "${@:2}"
}

# One line a call: "mkdir PARENT", "data FILE", "fsync PATH", "rename FROM_DIR FROM TO_DIR TO",
# "unlink DIR NAME", "done". Failed calls and other files are left out.
events() {
    sed -nE 's/^[0-9]+ +//; / = -1 /d
        s/^mkdirat\([0-9]+<([^>]*)>, "[^"]*".*/mkdir \1/p
        s/^(write|pwrite64)\(1<.*"done .*/done/p
        s/^(write|pwrite64)\([0-9]+<([^>]*\/\+tmp\/[^>]*)>.*/data \2/p
        s/^copy_file_range\([0-9]+<[^>]*>, [^,]*, [0-9]+<([^>]*)>.* = [1-9][0-9]*$/data \1/p
        s/^f(data)?sync\([0-9]+<([^>]*)>.* = 0$/fsync \2/p
        s/^renameat2?\([0-9]+<([^>]*)>, "([^"]*)", [0-9]+<([^>]*)>, "([^"]*)".*/rename \1 \2 \3 \4/p
        s/^unlinkat\([0-9]+<([^>]*)>, "([^"]*)".*/unlink \1 \2/p' "$1"
}

# check_put EVENTS: the rules as assertions on positions; "done" is the return of the call.
check_put() {
    awk '
        { n = NR }
        $1 == "mkdir"  { made[$2] = n }
        $1 == "data"   { data[$2] = n }
        $1 == "fsync"  { synced[$2] = n }
        $1 == "rename" { renames++; renamed = n; from = $2 "/" $3; to = $4; at_rename = synced[from] }
        $1 == "done"   { finished = n }
        function need(truth, text) { if (!truth) { print "broken: " text; bad = 1; exit 1 } }
        END {
            if (bad) exit 1
            need(finished, "the call returned")
            need(renames == 1, "one rename")
            need(data[from], "contents written to the temporary file")
            need(at_rename > data[from], "fsync of the file between contents and rename")
            need(data[from] < renamed, "no contents after the rename")
            need(synced[to] > renamed, "fsync of the directory after the rename")
            need(synced[to] < finished, "fsync of the directory before the return")
            for (parent in made) {
                need(synced[parent] > made[parent], "fsync of " parent " after mkdir in it")
                need(synced[parent] < finished, "fsync of " parent " before the return")
            }
        }' "$1"
}

# ancestors EVENTS DIR...: each directory was fsynced before the return.
ancestors() {
    local events=$1 dir
    for dir in "${@:2}"; do
        grep -qxF "fsync $dir" "$events" || { echo "broken: no fsync of $dir"; return 1; }
    done
}

check_delete() {
    awk '
        $1 == "unlink" { unlinked = NR; dir = $2 }
        $1 == "fsync"  { synced[$2] = NR }
        $1 == "done"   { finished = NR }
        END { exit !(unlinked && synced[dir] > unlinked && synced[dir] < finished) }' "$1"
}

# must_fail CHECK EVENTS WITHOUT: the check notices when these lines are missing.
must_fail() {
    grep -vE "$3" "$2" > "$area/doctored"
    if cmp -s "$2" "$area/doctored"; then
        echo "nothing matches $3 in the trace" >&2
        exit 1
    fi
    if "$1" "$area/doctored" > /dev/null; then
        echo "$1 does not notice a trace without $3" >&2
        exit 1
    fi
}

head -c 3000000 /dev/urandom > "$area/body"

mkdir -m 700 "$root"
trace "$area/put" put wal/cluster/1/segment "$area/body"
events "$area/put" > "$area/put.events"
check_put "$area/put.events"
ancestors "$area/put.events" "$root" "$root/wal" "$root/wal/cluster" "$root/wal/cluster/1"
must_fail check_put "$area/put.events" '^fsync .*/\+tmp/'
must_fail check_put "$area/put.events" '^fsync .*/wal/cluster/1$'
must_fail check_put "$area/put.events" '^fsync .*/wal$'
must_fail check_put "$area/put.events" '^fsync .*/repository$'
cmp "$area/body" "$root/wal/cluster/1/segment"

# Directories that were there may have been made a moment ago by a process that died before it
# synced them: a new process makes them durable itself.
trace "$area/again" put wal/cluster/1/other "$area/body"
events "$area/again" > "$area/again.events"
check_put "$area/again.events"
ancestors "$area/again.events" "$root" "$root/wal" "$root/wal/cluster" "$root/wal/cluster/1"

trace "$area/delete" delete wal/cluster/1/other
events "$area/delete" > "$area/delete.events"
check_delete "$area/delete.events"
must_fail check_delete "$area/delete.events" '^fsync '

# A delete of what is gone is durable too: who unlinked it may not have lived to sync.
trace "$area/twice" delete wal/cluster/1/other
events "$area/twice" > "$area/twice.events"
ancestors "$area/twice.events" "$root/wal/cluster/1"

# A failing fsync is a failing put, and leaves neither the object nor the temporary file.
for n in 1 2 3 4 5 6; do
    rc=0
    strace -f -o "$area/inject" -e trace=fsync -e inject=fsync:error=EIO:when="$n" \
        "$tool" "$area/broken-$n" put a/b "$area/body" > "$area/out" 2> "$area/err" || rc=$?
    injected=$(grep -c INJECTED "$area/inject" || true)
    if [ "$injected" = 0 ]; then
        [ "$rc" = 0 ] || { echo "put failed without a fault"; cat "$area/err"; exit 1; }
        break
    fi
    [ "$rc" != 0 ] || { echo "broken: put returned 0 although fsync $n failed"; exit 1; }
    left=$(find "$area/broken-$n/+tmp" -type f 2> /dev/null || true)
    [ -z "$left" ] || { echo "broken: left $left after fsync $n failed"; exit 1; }
done
[ "$n" -gt 4 ] && [ "$injected" = 0 ] || { echo "the fault loop ended early"; exit 1; }
echo "posix_sync: the order of fsync and rename holds"
