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
check "--delta onto a changed directory" to r --delta
equal "makes it the backup" r
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
