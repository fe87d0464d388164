#!/bin/bash
# hq-restore pg --delta and resumed restores of a made-up backup whose pages are scattered over chunks
# and have sums: what differs is repaired, what is right is not fetched, and the result is byte for
# byte a fresh restore.
. "$(dirname "$0")/lib.sh"
hq_init
must as "$build/../tests/make_backup" "$repository" "$scratch/sidecar.key" 50 200 2 45
to() { local directory=$1; shift; restore pg --latest --json --to "$scratch/$directory" "$@" >"$scratch/json"; }
figure() { grep -o "\"$1\": *[0-9]*" "$scratch/json" | grep -o '[0-9]*$'; }
contents() { (cd "$scratch/$1" && find . -type f ! -path './hq_restore/*' ! -name postgresql.auto.conf -exec sha256sum {} + | sort -k 2 && find . ! -path './hq_restore/*' ! -name postgresql.auto.conf -printf '%p %y %m %s %l\n' | grep -v '^\. ' | sed "s|$scratch/$1||" | sort); }
equal() { contents whole >"$scratch/a"; contents "$2" >"$scratch/b"; check "$1" diff "$scratch/a" "$scratch/b"; }

check "a fresh restore" to whole
fetched=$(figure fetched_bytes)
check "a second one" to r
equal "is the same" r
check "--delta onto it" to r --delta
equal "keeps every byte" r
same "and fetches nothing" 0 "$(figure fetched_bytes)"

file=$scratch/r/base/2/00000001
dd if=/dev/urandom of="$file" bs=1 seek=$((77 * 8192 + 100)) count=1 conv=notrunc status=none
truncate -s -3000000 "$scratch/r/base/2/00000000"
truncate -s +5000 "$scratch/r/base/1/00000007"
: >"$scratch/r/base/1/00000008"
rm "$scratch/r/base/1/00000009"
echo extra >"$scratch/r/base/1/extra"
chmod 644 "$scratch/r/base/1/00000010"
chmod 755 "$scratch/r/base/2"
state() { (cd "$scratch/r" && find . -type f -exec sha256sum {} + && find . -printf '%p %i %m %s %b %T@ %C@\n') | sort | sha256sum; }
before=$(state)
check "plan --to --delta" restore plan --latest --to "$scratch/r" --delta --json
cp "$scratch/out" "$scratch/look"
check "in words" restore plan --latest --to "$scratch/r" --delta
cp "$scratch/out" "$scratch/said"
check "tells what is right, changed, missing" grep -qE '^Right .*; 50 files are as they must be, 4 differ, 1 are not there$' "$scratch/said"
check "and free space" grep -qE '^Room .*: takes 128.* MiB at least; .* are taken by what is there, .* free$' "$scratch/said"
check "with a sidecar's key" "$scratch/bin/hq-restore" plan --latest --to "$scratch/r" --delta --json --repository "$repository" --key "$scratch/sidecar.key"
told() { sed 's/"last_commit".*//' "$1" | grep -oE '"(right|write|fetch|removed|changed|missing)_?[a-z]*": *[0-9]+'; }
same "which sees the same" "$(told "$scratch/look")" "$(told "$scratch/out")"
same "the directory is as it was" "$before" "$(state)"
refuse "--delta without a directory" 2 "go with --to" restore plan --latest --delta
check "--delta onto a changed directory" to r --delta
equal "makes it the backup" r
cp "$scratch/json" "$scratch/said"
look() { grep -o "\"$1\": *[0-9]*" "$scratch/look" | grep -o '[0-9]*$'; }
same "as the plan told" "$(look right_bytes) $(look fetch_bytes) $(look removed)" "$(figure kept_bytes) $(figure fetched_bytes) $(figure removed)"
same "by less than all chunks" 1 "$(($(figure fetched_bytes) < fetched))"
same "tells what was too much" 1 "$(figure removed | awk '{ print ($1 >= 1) }')"

dd if=/dev/urandom of="$file" bs=1 seek=$((900 * 8192)) count=9000 conv=notrunc status=none
check "--delta onto two damaged pages" to r --delta
equal "repairs them" r
same "by two or three chunks" 1 "$(($(figure fetched_bytes) < 1500000))"

HQ_CRASH_POINT=restore.chunk-written:40 to half 2>/dev/null
same "a restore dies in the middle" 137 $?
refuse "hq-restore start of it" 8 "was interrupted" restore start "$scratch/half"
check "the same command" to half
equal "ends it" half
same "without what was there" 1 "$(($(figure fetched_bytes) < fetched && $(figure kept_bytes) > 0))"

if [ "$(id -u)" = 0 ] && mkdir "$scratch/small" && mount -t tmpfs -o size=200m tmpfs "$scratch/small" 2>/dev/null; then
    mounts="$mounts $scratch/small"
    must to small/r
    rm "$scratch/small/r/base/2/00000001"
    rm -r "$scratch/small/r/hq_restore"
    mount -o remount,size=100m "$scratch/small"
    refuse "a plan that does not fit" 6 "what is there already takes 64.* MiB.*nothing was changed" restore plan --latest --to "$scratch/small/r" --delta
    cp "$scratch/out" "$scratch/said"
    check "with all figures" grep -q '^Room .*TOO LITTLE$' "$scratch/said"
    check "in JSON too" sh -c "'$scratch/bin/hq-restore' plan --latest --to '$scratch/small/r' --delta --json --quiet --repository '$repository' --key '$scratch/restore.key' 2>/dev/null | grep -q '\"fits\": *false'"
    refuse "nor does the restore" 6 "at least, and run the same command again" restore pg --latest --to "$scratch/small/r" --delta
    mount -o remount,size=140m "$scratch/small"
    check "with enough room it is brought back" to small/r --delta
    check "the same" diff -r "$scratch/whole/base" "$scratch/small/r/base"
    rm -r "$scratch/small/r"
else
    echo "skipped - a target without room: no mounts here"
fi

sleep 600 &
server=$!
echo "$server" >"$scratch/r/postmaster.pid"
chown "$user" "$scratch/r/postmaster.pid"
refuse "a server that runs" 15 "a server runs there" restore pg --latest --to "$scratch/r" --delta
kill "$server"
wait "$server" 2>/dev/null
rm "$scratch/r/postmaster.pid"
cp "$scratch/r/global/pg_control" "$scratch/control"
printf '\001' | dd of="$scratch/r/global/pg_control" bs=1 count=1 conv=notrunc status=none
refuse "another cluster's directory" 9 "is of system" restore pg --latest --to "$scratch/r" --delta
refuse "and what it may be" 9 "wrong directory, or the wrong --cluster" restore pg --latest --to "$scratch/r" --delta
refuse "a directory with contents" 9 "is not empty" restore pg --latest --to "$scratch/r"
cat "$scratch/control" >"$scratch/r/global/pg_control"
equal "was left as it was" r
