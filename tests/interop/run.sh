#!/bin/bash
# The independent reader against the engine: its own tests, the golden vectors, and a real cluster's
# repository, which it must restore byte for byte as hq-restore does. Debian's python3, with
# python3-nacl, python3-zstandard and python3-xxhash.
. "$(dirname "$0")/../integration/lib.sh"
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3
here=$top/tests/interop
reader() { "$python" "$here/restore.py" "$@"; }
# lines WHAT COMMAND...: a program that prints the lines itself
lines() {
    local what=$1 bad; shift
    "$@" >"$scratch/lines" 2>&1
    local status=$?
    cat "$scratch/lines"
    bad=$(grep -c '^not ok' "$scratch/lines")
    failures=$((failures + bad))
    if [ "$bad" = 0 ]; then same "$what ends well" 0 "$status"; fi
}
lines "the reader's own tests" "$python" "$here/unit.py"
lines "the golden vectors" "$python" "$here/vectors.py"

# ---- a cluster with a tablespace, and files that are cut in pieces ---------------
pg_init data
echo 'wal_keep_size = 1GB' >>"$scratch/data/postgresql.conf"
sql data -c 'SELECT pg_reload_conf()' >/dev/null
mkdir "$scratch/fast"; chown "$user" "$scratch/fast"
sql data -c "CREATE TABLESPACE fast LOCATION '$scratch/fast'"
sql data >/dev/null <<'SQL'
CREATE TABLE rows (n int PRIMARY KEY, pad text);
CREATE TABLE in_fast (n int, pad text) TABLESPACE fast;
CREATE UNLOGGED TABLE fleeting AS SELECT generate_series(1, 1000) n;
CREATE TABLE "Çağrı" (n int);
INSERT INTO rows SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 5000) n;
INSERT INTO in_fast SELECT n, repeat('f', 100) FROM generate_series(1, 5000) n;
CHECKPOINT;
SQL
head -c 5000000 /dev/urandom >"$scratch/data/random.bin"
{ head -c 300000 /dev/urandom; head -c 3000000 /dev/zero; seq 100000; } >"$scratch/data/mixed.bin"
: >"$scratch/data/empty"
chown "$user" "$scratch"/data/*.bin "$scratch/data/empty"
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the first backup" has_backup 1
sql data >/dev/null <<'SQL'
SELECT pg_switch_wal();
UPDATE rows SET pad = 'later ' || n WHERE n % 100 = 0;
INSERT INTO in_fast SELECT n, 'second' FROM generate_series(1, 700) n;
CHECKPOINT;
SQL
wait_for 30 "the second backup, which waits for the end of the first" backup backup
sql data >/dev/null <<'SQL'
SELECT pg_switch_wal();
INSERT INTO rows SELECT n, 'after the backup' FROM generate_series(5001, 5321) n;
SQL
catch_up data
daemon_stop
same "the daemon ends cleanly" 0 $?
pg_stop data immediate

# ---- what is there -------------------------------------------------------------------------------
check "--list with the restore key" reader "$repository" "$scratch/restore.key" --list
cp "$scratch/out" "$scratch/list"
mapfile -t ids < <(awk '$1 == "backup" { print $3 }' "$scratch/list")
same "backups in the list" "$(backups)" "${#ids[@]}"
first=${ids[0]} last=${ids[-1]}
check "--list with the sidecar key" reader "$repository" "$scratch/sidecar.key" --list
cp "$scratch/out" "$scratch/list-sidecar"
check "the sidecar key lists the same" cmp "$scratch/list" "$scratch/list-sidecar"
refuse "the sidecar key reads no file" 1 '^restore.py: KEY: ' \
    reader "$repository" "$scratch/sidecar.key" main "$last" "$scratch/none"
rm -rf "$scratch/none"
refuse "the sidecar key reads no WAL" 1 '^restore.py: KEY: ' \
    reader "$repository" "$scratch/sidecar.key" main --wal "$scratch/none"
check "the files are cut as they must be" reader "$repository" "$scratch/restore.key" main "$last" --cuts
check "and those of a whole backup" reader "$repository" "$scratch/restore.key" main "$first" --cuts

# ---- files, as hq-restore restores them ----------------------------------------------------------
# tree DIRECTORY: mode, size and content of every file, and every folder, less what is the recovery's
tree() {
    (
        cd "$1" || exit 1
        find -L . -type f ! -name postgresql.auto.conf ! -name recovery.signal \
            ! -path './hq_restore/*' ! -path ./tablespace_map -printf '%P %m %s\n'
        find . -type d ! -path './hq_restore*' ! -path './pg_tblspc/*' -printf '%P %m\n'
        find -L . -type f ! -name postgresql.auto.conf ! -name recovery.signal \
            ! -path './hq_restore/*' ! -path ./tablespace_map -exec sha256sum {} +
    ) | sort
}
for id in "$first" "$last"; do
    name=${id##*-}
    check "restore.py restores $id" reader "$repository" "$scratch/restore.key" main "$id" "$scratch/py-$name"
    check "hq-restore restores $id" restore pg --cluster main --backup "$id" --latest \
        --to "$scratch/hq-$name" --tablespace-map "$scratch/fast=$scratch/fast-$name"
    chmod 700 "$scratch/py-$name" # the root's own attributes are in no entry
    tree "$scratch/py-$name" >"$scratch/tree-py"
    tree "$scratch/hq-$name" >"$scratch/tree-hq"
    check "both made the same of $id" diff "$scratch/tree-py" "$scratch/tree-hq"
    same "it has more than 900 files" yes "$([ "$(wc -l <"$scratch/tree-py")" -gt 900 ] && echo yes)"
    for file in random.bin mixed.bin empty PG_VERSION; do
        check "$file of $id is the server's" cmp "$scratch/data/$file" "$scratch/py-$name/$file"
    done
    same "random.bin of $id has the server's owner and time" \
        "$(stat -c '%u %g %a %Y' "$scratch/data/random.bin")" "$(stat -c '%u %g %a %Y' "$scratch/py-$name/random.bin")"
    oid=$(ls "$scratch/py-$name/pg_tblspc")
    check "the tablespace of $id has files" test -n "$(find "$scratch/py-$name/pg_tblspc/$oid/" -type f -size +0)"
done

# ---- WAL, as the server has it -------------------------------------------------------------------
check "restore.py --wal" reader "$repository" "$scratch/restore.key" main --wal "$scratch/wal"
cp "$scratch/out" "$scratch/segments"
whole=0 partial=0 differ=0
while read -r system segment reached _ size _; do
    if [ "$reached" = "$size" ]; then whole=$((whole + 1)); else partial=$((partial + 1)); fi
    cmp -s -n "$reached" "$scratch/data/pg_wal/$segment" "$scratch/wal/$system/$segment" ||
        { differ=$((differ + 1)); echo "    $segment differs"; }
    same "$segment is a whole file" "$size" "$(stat -c %s "$scratch/wal/$system/$segment")"
    check "$segment ends with zeros" cmp -n $((size - reached)) -i "$reached:0" \
        "$scratch/wal/$system/$segment" /dev/zero
done <"$scratch/segments"
same "WAL is the server's, byte for byte" 0 "$differ"
same "there are two complete segments at least" yes "$([ "$whole" -ge 2 ] && echo yes)"
same "and one that is not" 1 "$partial"

# ---- the server takes it: a recovery with nothing of hq-backup -----------------------------------
system=$(ls "$scratch/wal")
r=$scratch/py-${last##*-}
oid=$(ls "$r/pg_tblspc")
mv "$r/pg_tblspc/$oid" "$scratch/fast-py"
ln -s "$scratch/fast-py" "$r/pg_tblspc/$oid"
echo "$oid $scratch/fast-py" >"$r/tablespace_map"
echo "restore_command = 'cp $scratch/wal/$system/%f %p'" >>"$r/postgresql.auto.conf"
: >"$r/recovery.signal"
chown -Rh "$user" "$r" "$scratch/fast-py"
chmod -R a+rX "$scratch/wal"
mv "$r" "$scratch/recovered"
if start_restored recovered; then
    same "every row is back" 5321 "$(sql recovered -c 'SELECT count(*) FROM rows')"
    same "the rows changed between backups too" 50 "$(sql recovered -c "SELECT count(*) FROM rows WHERE pad LIKE 'later %'")"
    same "and those of the tablespace" 5700 "$(sql recovered -c 'SELECT count(*) FROM in_fast')"
    pg_stop recovered fast
    check "page checksums hold" as "$pg_bin/pg_checksums" --check -D "$scratch/recovered"
fi

# ---- the other direction: the engine reads what a stranger wrote from the same document ----------
must "$python" "$here/foreign.py" "$scratch/foreign"
cp "$scratch/out" "$scratch/cases"
chown -R "$user" "$scratch/foreign"
foreign() { # foreign CASE: hq-restore of its backup, into $scratch/f
    rm -rf "${scratch:?}/f"
    as "$scratch/bin/hq-restore" pg --repository "$scratch/foreign/$1" \
        --key "$scratch/foreign/restore.key" --cluster main --immediate --to "$scratch/f"
}
check "hq-restore restores a stranger's backup" foreign good
must reader "$scratch/foreign/good" "$scratch/foreign/restore.key" main 20260101T000000Z-0011aabb "$scratch/f-py"
tree "$scratch/f" >"$scratch/tree-hq"
tree "$scratch/f-py" >"$scratch/tree-py"
check "as the reader does" diff <(grep -v '^ [0-7]*$' "$scratch/tree-py") <(grep -v '^ [0-7]*$' "$scratch/tree-hq")
must reader "$scratch/foreign/good" "$scratch/foreign/restore.key" main --wal "$scratch/f-wal"
for segment in "$scratch"/f-wal/*/*; do
    name=$(basename "$segment")
    check "hq-restore fetches a stranger's $name" as "$scratch/bin/hq-restore" wal-get --cluster main \
        --repository "$scratch/foreign/good" --key "$scratch/foreign/restore.key" "$name" "$scratch/f/$name"
    check "as the reader does" cmp "$segment" "$scratch/f/$name"
done
while read -r case statuses; do
    [ "$case" != good ] || continue
    foreign "$case" >"$scratch/out" 2>&1
    status=$?
    if [[ "|$statuses|" == *"|$status|"* ]]; then ok "hq-restore refuses $case"; else
        not_ok "hq-restore refuses $case (status $status, not $statuses)" "$scratch/out"
    fi
    rm -rf "$scratch/f-py"
    if [ "$statuses" = 11 ]; then wanted=UNSUPPORTED; else wanted='(CORRUPT|MISSING|REGION|UNSUPPORTED)'; fi
    refuse "so does the reader" 1 "^restore.py: $wanted: " \
        reader "$scratch/foreign/$case" "$scratch/foreign/restore.key" main 20260101T000000Z-0011aabb "$scratch/f-py"
done <"$scratch/cases"

# ---- trouble by its name -------------------------------------------------------------------------
refuse "another region" 1 '^restore.py: REGION: ' \
    reader --region EU "$repository" "$scratch/restore.key" --list
refuse "another repository's key" 1 '^restore.py: KEY: ' \
    reader "$repository" "$top/tests/golden/v1/restore.key" --list
refuse "a backup that is not there" 1 '^restore.py: MISSING: ' \
    reader "$repository" "$scratch/restore.key" main 20010101T000000Z-00000000 "$scratch/none"
rm -rf "$scratch/none"
cp -a "$repository" "$scratch/hurt"
for pack in "$scratch"/hurt/packs/*/*; do
    printf 'x' | dd of="$pack" bs=1 seek=150 conv=notrunc status=none
done
refuse "damaged packs" 1 '^restore.py: CORRUPT: ' \
    reader "$scratch/hurt" "$scratch/restore.key" main "$last" "$scratch/none"
rm -rf "$scratch/none" "$scratch"/hurt/packs
refuse "packs that are gone" 1 '^restore.py: MISSING: ' \
    reader "$scratch/hurt" "$scratch/restore.key" main "$last" "$scratch/none"
sed 's/"TR"/"EU"/' "$repository/repository.json" >"$scratch/hurt/repository.json"
refuse "an edited repository.json" 1 '^restore.py: CORRUPT: ' \
    reader "$scratch/hurt" "$scratch/restore.key" --list
