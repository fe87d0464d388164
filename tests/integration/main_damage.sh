#!/bin/bash
# Wrong keys and regions, and every kind of object damaged: never wrong data without a word.
. "$(dirname "$0")/lib.sh"

pg_init data
sql data -c "CREATE TABLE old AS SELECT n, md5(n::text) pad FROM generate_series(1, 20000) n"
hq_init
hq_config data </dev/null
must backup backup
sql data -c "CREATE TABLE new AS SELECT n, sha512(n::text::bytea) pad FROM generate_series(1, 60000) n"
must backup backup
daemon_start
wal() { sql data -c "INSERT INTO old SELECT n, sha512(n::text::bytea)::text FROM generate_series(1, 5000) n"; }
wal
catch_up data
wal
sql data -c "SELECT pg_switch_wal()" >/dev/null
wal
catch_up data
daemon_stop

# The cluster goes on in a new timeline, so that there is a history file as well.
pg_stop data fast
touch "$scratch/data/recovery.signal"; chown "$user" "$scratch/data/recovery.signal"
echo "restore_command = 'false'" >>"$scratch/data/postgresql.conf"
pg_start data
wait_for 30 "timeline 2" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[data]} -U postgres -d postgres -c 'SELECT pg_is_in_recovery()')\" = f ]"
daemon_start
wal
catch_up data
wal
catch_up data
daemon_stop

original=$repository
repository=$scratch/copy
hq_config data </dev/null
fresh() { rm -rf "$repository"; cp -a "$original" "$repository"; }
fresh
whole() { rm -rf "${scratch:?}/$1"; restore pg --cluster main --to "$scratch/$1" --latest "${@:2}"; }
check "the undamaged repository verifies" backup verify --key "$scratch/restore.key"
check "and restores" whole sound

# ---- keys and regions ----------------------------------------------------------------------------
hq() { as "$scratch/bin/hq-backup" "$@"; }
hq_restore() { as "$scratch/bin/hq-restore" "$@"; }
as_tool() { as /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/damage.py" "$@"; }
must hq init --repository "$scratch/other" --region TR --writer test --sidecar-key "$scratch/other.sidecar" \
    --restore-key "$scratch/other.key" --no-passphrase
stranger() { hq_restore "$1" --repository "$repository" --cluster main --key "$2" "${@:3}"; }
refuse "the key of another repository" 12 "repository" stranger points "$scratch/other.key"
refuse "it restores nothing" 12 "." stranger pg "$scratch/other.key" --to "$scratch/r"
check "and leaves nothing" test ! -e "$scratch/r/global/pg_control"
check "a sidecar key can plan" stranger plan "$scratch/sidecar.key"
cp "$scratch/out" "$scratch/said"
check "and is told that it can't restore" grep -q "sidecar.key is a sidecar's key: it can plan, and can't restore" "$scratch/said"
as sh -c "umask 077; echo 'no key' >'$scratch/no.key'"
refuse "a file that is no key" 3 "not a key file of hq-backup" stranger points "$scratch/no.key"
refuse "a sidecar key can't restore" 12 "restore key" stranger pg "$scratch/sidecar.key" --to "$scratch/r"
check "and leaves nothing either" test ! -e "$scratch/r/global/pg_control"
check "a sidecar key is enough to verify" backup verify
refuse "verify --key with another's key" 12 "." backup verify --key "$scratch/other.key"
refuse "--region of somewhere else" 13 "TR" stranger points "$scratch/restore.key" --region ES
for role in sidecar restore; do
    as sed 's/"region": *"TR"/"region": "ES"/' "$scratch/$role.key" >"$scratch/es.$role"
    chown "$user" "$scratch/es.$role"; chmod 600 "$scratch/es.$role"
done
refuse "a key of another region" 13 "region" stranger points "$scratch/es.restore"
sed 's/^region: TR/region: ES/' "$config" >"$scratch/es.yaml"; chown "$user" "$scratch/es.yaml"
listing() { (cd "$repository" && find . -type f -exec sha256sum {} + | sort); }
before=$(listing)
refuse "a configuration of another region than its key" 13 "region" hq backup --config "$scratch/es.yaml"
# Nobody listens at the end point: had anything been sent, the status would be another.
sed -e "s|url: .*|url: s3://bucket/prefix|; /url:/a\\  endpoint: http://127.0.0.1:9" "$scratch/es.yaml" >"$scratch/es3.yaml"
chown "$user" "$scratch/es3.yaml"
refuse "and nothing was sent before" 13 "region" env HQ_S3_ACCESS_KEY=a HQ_S3_SECRET_KEY=b \
    "${become[@]}" "$scratch/bin/hq-backup" backup --config "$scratch/es3.yaml"
sed -i "s|key_file: .*|key_file: $scratch/es.sidecar|" "$scratch/es.yaml"
refuse "key and configuration of another region than the repository" 13 "region" hq backup --config "$scratch/es.yaml"
same "the repository is as it was" "$before" "$(listing)"

echo "correct horse" >"$scratch/right"; echo "battery staple" >"$scratch/wrong"
chown "$user" "$scratch/right" "$scratch/wrong"; chmod 600 "$scratch/right" "$scratch/wrong"
must hq init --repository "$scratch/locked" --region TR --writer test --sidecar-key "$scratch/locked.sidecar" \
    --restore-key "$scratch/locked.key" --passphrase-file "$scratch/right"
locked() { env HQ_PASSPHRASE_FILE="$1" "${become[@]}" "$scratch/bin/hq-restore" points --repository "$scratch/locked" --key "$scratch/locked.key"; }
check "the right passphrase" locked "$scratch/right"
refuse "the wrong passphrase" 12 "passphrase" locked "$scratch/wrong"
check "secrets of a locked key are not in it" sh -c "! grep -q data_secret_key '$scratch/locked.key'"
sum=$(sha256sum "$scratch"/*.key)
refuse "init does not write over keys" 9 "key" hq init --repository "$scratch/third" --region TR --writer test \
    --sidecar-key "$scratch/sidecar.key" --restore-key "$scratch/restore.key" --no-passphrase
refuse "nor does key sidecar" 9 "sidecar.key" hq key sidecar --restore-key "$scratch/restore.key" --writer two \
    --sidecar-key "$scratch/sidecar.key"
same "the keys are as they were" "$sum" "$(sha256sum "$scratch"/*.key)"

# ---- repository.json -----------------------------------------------------------------------------
json_with() { fresh; sed -i -E "$1" "$repository/repository.json"; }
json_with 's/"version": *1/"version": 2/'
refuse "a newer version of the format" 11 "version|newer" whole r
json_with 's/"required_features": *0/"required_features": 1/'
refuse "a feature that is not known" 11 "feature" whole r
refuse "nothing is written to such a repository" 11 "feature" backup backup
json_with 's/("signature": *")./\1x/'
refuse "a damaged repository.json" 10 "repository.json" whole r
json_with 's/"average": *262144/"average": 131072/'
refuse "a changed repository.json" 10 "repository.json" whole r
refuse "verify sees it" 10 "repository.json" backup verify
fresh; rm "$repository/repository.json"
refuse "no repository.json" 8 "repository.json" whole r

# ---- every kind of object, every kind of damage --------------------------------------------------
cd "$original" || exit 1
of_type() { # packs of that type, newest first; 1 is data, 2 metadata
    local pack
    for pack in $(ls -t packs/*/*); do
        [ "$(od -An -tu2 -j10 -N2 "$pack" | tr -d ' ')" != "$1" ] || echo "$pack"
    done
}
last=$(find backups/main -type f | sort | tail -n 1)
needed_pack=$(of_type 1 | head -n 1)
needed_map=$(of_type 2 | head -n 1)
needed_index=$(ls -t index/* | head -n 1)
history=$(find wal -name '00000002.history')
segment=$(find wal -name '000000010000000000000005')
part=$(find wal -name '00000002*.*-*' | sort | head -n 1)
cd "$top" || exit 1
damage() { # damage HOW OBJECT
    fresh
    case $1 in
    flipped) as_tool flip "$repository/$2" ;;
    truncated) truncate -s "$(($(stat -c %s "$repository/$2") * 2 / 3))" "$repository/$2" ;;
    missing) rm "$repository/$2" ;;
    esac
}
# refused WHAT COMMAND...: status 8 or 10, with a reason, and nothing a server could start on
refused() {
    local what=$1 status; shift
    "$@" >"$scratch/out" 2>&1
    status=$?
    if [ "$status" != 8 ] && [ "$status" != 10 ]; then
        not_ok "$what (status $status)" "$scratch/out"
    elif [ -e "$scratch/r/global/pg_control" ]; then
        not_ok "$what (pg_control is there)" "$scratch/out"
    elif ! grep -qE 'packs/|index/|backups/|index |wal/|base/|global/|pg_|PG_|backup_label|backup ' "$scratch/out"; then
        not_ok "$what (names nothing)" "$scratch/out"
    else
        ok "$what"
    fi
}
backup_id=$(basename "$last")
for how in flipped truncated missing; do
    for object in "$needed_pack" "$needed_map" "$needed_index" "$last"; do
        damage $how "$object"
        what="$how ${object%%/*}"
        [ "$object" != "$needed_map" ] || what="$how metadata pack"
        refused "$what: restore refuses" whole r --backup "$backup_id"
        cp "$scratch/out" "$scratch/said"
        [ "$object" != "$needed_pack" ] ||
            check "$what: the next step is named" grep -q "another backup with --backup, or --allow-damaged" "$scratch/said"
        [ "$how ${object%%/*}" = "missing backups" ] ||
            refuse "$what: verify finds it" 10 "${object##*/}|no index names" backup verify --key "$scratch/restore.key"
    done
done

# WAL is read when PostgreSQL asks for it: then a damaged object ends the recovery, with status 126.
# The settings of the sound restore hold the keys; they name the repository that is damaged here.
# They are copied: beside the original lies the staged incomplete segment, which needs no object.
cp -p "$scratch/sound/hq_restore/wal.json" "$scratch/wal.json"
wal_get() { hq_restore wal-get --settings "$scratch/wal.json" "$1" "$scratch/got"; }
check "the incomplete segment is staged" test -s "$scratch/sound/hq_restore/$(basename "$part" | cut -c 1-24)"
for how in flipped truncated; do
    for object in "$segment" "$part" "$history"; do
        damage $how "$object"
        file=$(basename "$object"); file=${file%%.0*}
        rm -f "$scratch/got"
        refuse "$how $file: wal-get refuses" 126 "$file" wal_get "$file"
        check "$how $file: nothing is left" test ! -e "$scratch/got"
        refuse "$how $file: verify finds it" 10 "$file" backup verify --key "$scratch/restore.key"
    done
done
damage missing "$history"
refuse "missing history: verify finds it" 10 "00000002" backup verify --key "$scratch/restore.key"

# A hole in the WAL: recovery ends before it, and points does not claim what lies behind.
damage missing "$segment"
plan=$(restore plan --cluster main --latest --target-timeline 1 2>&1)
check "--latest ends before a missing segment" grep -q 'WAL .* to 0/5000000' <<<"$plan"
lsns=$(restore points --cluster main --json | grep -o '"to_lsn": *"[^"]*"')
check "points ends before a missing segment" grep -q '0/5000000' <<<"$lsns"
check "points claims nothing behind it" sh -c "! echo '$lsns' | grep -q '0/6'"
refuse "a target behind the hole" 17 "recoverable from" restore plan --cluster main --target-lsn 0/6000100
check "list shows the hole" grep -q '0/5000000' <<<"$(backup list --json)"

# ---- what is left, with --allow-damaged ----------------------------------------------------------
damage flipped "$needed_index"
check "a damaged index costs nothing with --allow-damaged" whole r --allow-damaged
check "all files are as they were" as_tool compare "$scratch/sound" "$scratch/r" /dev/null
damage missing "$needed_index"
check "nor does a missing one" whole r --allow-damaged
check "all files are as they were then, too" as_tool compare "$scratch/sound" "$scratch/r" /dev/null
partial=0
for how in flipped missing; do
    packs=$(cd "$original" && of_type 1)
    [ "$how" = missing ] || packs=$(head -n 2 <<<"$packs")
    for object in $packs; do
        damage $how "$object"
        whole r --allow-damaged --json >"$scratch/losses" 2>"$scratch/out"
        status=$?
        if [ "$status" = 19 ]; then
            partial=$((partial + 1))
            check "$how $object: what is not listed as lost is whole" as_tool compare "$scratch/sound" "$scratch/r" "$scratch/losses"
            [ "$partial" = 1 ] || continue
            whole r --allow-damaged >"$scratch/text" 2>/dev/null
            check "the losses are told before the restore is called done" sh -c "head -n 1 '$scratch/text' | grep '^LOST: '"
            check "... and again at the end" sh -c "tail -n 1 '$scratch/text' | grep 'NOT whole'"
        elif [ "$status" = 8 ] || [ "$status" = 10 ]; then
            check "$how $object: without pg_control or backup_label, nothing starts" sh -c \
                "grep -qE 'global/pg_control|backup_label' '$scratch/losses' && [ ! -e '$scratch/r/global/pg_control' ]"
        else
            not_ok "$how $object with --allow-damaged (status $status)" "$scratch/out"
        fi
    done
done
check "some of these went on, with losses ($partial)" test "$partial" -ge 2

# ---- the disk is full ----------------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && mkdir "$scratch/small" && mount -t tmpfs -o size=20m tmpfs "$scratch/small" 2>/dev/null; then
    mounts="$mounts $scratch/small"
    fresh
    chown "$user" "$scratch/small"
    refuse "a target without room" 6 "to write, and .* free; nothing was written" restore pg --cluster main --to "$scratch/small/r" --latest
    same "and nothing was" "" "$(ls -A "$scratch/small/r")"
    # Room for the bytes, none for so many files: what is not foreseen.
    mount -o remount,size=400m,nr_inodes=300 "$scratch/small"
    refuse "a target that is filled" 6 "make room in $scratch/small/r and run the same command again" restore pg --cluster main --to "$scratch/small/r" --latest
    check "it does not start" test ! -e "$scratch/small/r/global/pg_control"
    mount -o remount,nr_inodes=100000 "$scratch/small"
    HQ_CRASH_POINT=restore.chunk-written:10 restore pg --cluster main --to "$scratch/small/r" --latest >"$scratch/out" 2>&1
    same "it dies in the middle" 137 $?
    refuse "PostgreSQL says what the directory is" 1 "the restore to this directory .* was interrupted - run the same hq-restore pg again" as "$pg_bin/postgres" -D "$scratch/small/r"
    # Which file it misses first depends on which were written before.
    as timeout 20 "$pg_bin/postgres" -D "$scratch/small/r" -c "config_file=$scratch/data/postgresql.conf" >"$scratch/refusal" 2>&1
    check "and does not start with its configuration elsewhere" grep -qE "could not find the database system|is not a valid data directory" "$scratch/refusal"
    rm -r "$scratch/small/r/.hq-restore-wal" # goes first, and would make room
    mount -o remount,size=20m "$scratch/small"
    refuse "what is left does not fit beside it" 6 "what is there already takes .*nothing was changed" restore pg --cluster main --to "$scratch/small/r" --latest
    mount -o remount,size=400m "$scratch/small"
    check "with more room the same command goes on" restore pg --cluster main --to "$scratch/small/r" --latest
    cp "$scratch/out" "$scratch/said"
    check "with what was there" grep -q 'were right already' "$scratch/said"
else
    echo "skipped - a target without room: no mounts here"
fi

# ---- the catalog ---------------------------------------------------------------------------------
fresh
must backup catalog rebuild
tables=$(as_tool tables "$scratch/state/catalog.sqlite")
check "the catalog holds something" test "$(wc -l <<<"$tables")" -gt 500
must backup catalog rebuild
same "catalog rebuild gives the same catalog" "$tables" "$(as_tool tables "$scratch/state/catalog.sqlite")"
as dd if=/dev/urandom of="$scratch/state/catalog.sqlite" bs=4096 count=5 conv=notrunc status=none
check "a damaged catalog does not matter" backup list
check "it was set aside" sh -c "ls '$scratch/state' | grep -q 'catalog.sqlite.'"

# ---- a lost pack is stored again -----------------------------------------------------------------
for object in $(cd "$original" && of_type 1); do rm "$repository/$object"; done
must backup backup
check "a backup after the loss of every data pack is whole" whole r
start_restored r && same "its rows" "$(sql data -c 'SELECT count(*), sum(n) FROM new')" "$(sql r -c 'SELECT count(*), sum(n) FROM new')"
same "rows that came by WAL" "$(sql data -c 'SELECT count(*), sum(n) FROM old')" "$(sql r -c 'SELECT count(*), sum(n) FROM old')"
drop_restored r
