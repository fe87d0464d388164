#!/bin/bash
# Dies by SIGKILL once at every crash point of the daemon and of a restore, goes on, and proves that
# nothing was lost, doubled or left behind that a reader stumbles over.
#
# The labels are not listed here: a first whole run tells which there are (HQ_CRASH_LIST), so a new
# crash point is tested from the day it is written. One server and one repository for all of them,
# because what a crash leaves behind must not harm the others either; a cluster name, slot and state
# directory for each, so that each label meets its first backup.
. "$(dirname "$0")/../integration/lib.sh"

pg_init data --wal-segsize=1
cat >>"$scratch/data/postgresql.conf" <<'CONF'
wal_keep_size = 2GB
min_wal_size = 2MB
autovacuum = off
max_replication_slots = 64
CONF
pg_stop data fast
# A promoted server has a history file, which is stored at points of its own.
as touch "$scratch/data/standby.signal"
pg_start data
must sql data -c "SELECT pg_promote()"
sql data -c "CREATE TABLE steps (n bigserial PRIMARY KEY, pad text)"
hq_init

# Half a segment of random text, so that packs and parts differ each time; then a whole segment.
write_some() { sql data -c "INSERT INTO steps (pad) SELECT md5(random()::text) || repeat('x', 100) FROM generate_series(1, 2000)"; }
write_on() { write_some && sql data -c "SELECT pg_switch_wal()" >/dev/null && write_some; }
in_cluster() { # in_cluster NUMBER: from here on, that cluster of the repository
    cluster=crash-$1
    hq_config data </dev/null
    sed -i "s|^state_directory:.*|state_directory: $scratch/state-$1|; s|slot: hq_test|slot: hq_crash_$1|" "$config"
}
leave_cluster() {
    wait_for 20 "the slot to be left" sql data -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    rm -rf "$scratch/state-$1"
}
is_dead() { ! kill -0 "$daemon" 2>/dev/null; }
# dies SECONDS: the daemon ends by SIGKILL while the server is written to
dies() {
    local until=$((SECONDS + $1)) status
    while ! is_dead; do
        if [ "$SECONDS" -ge "$until" ]; then daemon_kill; return 1; fi
        write_on
        # Longer than wal.flush_interval: a part is stored, then replaced by its segment.
        for _ in 1 2 3 4 5 6 7; do is_dead || sleep 0.2; done
    done
    wait "$daemon" 2>/dev/null
    status=$?
    daemon=
    [ "$status" = 137 ]
}
# Every segment the server completed since the backup began, read back and compared.
segments_equal() {
    local first last name seen=0
    first=$(restore points --cluster "$cluster" --json | grep -o '"from_lsn": *"[^"]*"' | head -n 1 | grep -o '[0-9A-F]*/[0-9A-F]*')
    first=$(sql data -c "SELECT pg_walfile_name('$first'::pg_lsn + 1)")
    last=$(sql data -c "SELECT pg_walfile_name(pg_current_wal_lsn())")
    for name in $(ls "$scratch/data/pg_wal" | grep -xE '[0-9A-F]{24}'); do
        [[ $name < $first || ! $name < $last ]] && continue
        rm -f "$scratch/segment"
        restore wal-get --cluster "$cluster" "$name" "$scratch/segment" || return 1
        cmp "$scratch/data/pg_wal/$name" "$scratch/segment" || return 1
        seen=$((seen + 1))
    done
    echo "$seen segments from $first to $last"
    [ "$seen" -ge 2 ]
}
sound() { # sound LABEL: the whole proof, one line
    local label=$1 rows found
    sql data -c "SELECT pg_switch_wal()" >/dev/null
    rows=$(sql data -c 'SELECT count(*), sum(n) FROM steps')
    catch_up data || { not_ok "$label: the WAL arrives"; return; }
    daemon_stop || { not_ok "$label: the daemon ends cleanly" "$scratch/daemon.log"; return; }
    if ! backup verify --key "$scratch/restore.key" >"$scratch/out" 2>&1; then
        not_ok "$label: verify" "$scratch/out"
    elif ! segments_equal >"$scratch/out" 2>&1; then
        not_ok "$label: WAL equals the server's" "$scratch/out"
    elif ! restore pg --latest --cluster "$cluster" --to "$scratch/r" >"$scratch/out" 2>&1; then
        not_ok "$label: restore" "$scratch/out"
    elif start_restored r; then
        found=$(sql r -c 'SELECT count(*), sum(n) FROM steps')
        same "$label" "$rows" "$found"
    fi
    drop_restored r
}

list=$scratch/labels
as touch "$list"
in_cluster 0
HQ_CRASH_LIST=$list daemon_start
wait_for 60 "the first backup" has_backup 1
write_on
sleep 1.5 # for a part of the last segment
write_on
catch_up data
daemon_stop
same "the whole run ends cleanly" 0 $?
leave_cluster 0
labels=$(sort -u "$list")
: >"$list"
HQ_CRASH_LIST=$list restore pg --latest --cluster "$cluster" --to "$scratch/r" >"$scratch/out" 2>&1 ||
    not_ok "restore of the whole run" "$scratch/out"
restore_labels=$(sort -u "$list")
: >"$list"
HQ_CRASH_LIST=$list restore pg --delta --latest --cluster "$cluster" --to "$scratch/r" >"$scratch/out" 2>&1 ||
    not_ok "delta restore onto it" "$scratch/out"
drop_restored r
delta_labels=$(sort -u "$list")
# push.sh dies at the points of wal-push.
same "every crash point in the sources is passed" "" "$(grep -rhoE --include=*.c 'HQ_CRASH_POINT\(.*\)' "$top"/{crypto,engine,restore,storage,catalog,schedules} |
    grep -oE '"[a-z.-]+"' | tr -d '"' | sort -u | grep -vE '^wal\.push\.' | grep -vxF "$labels
$restore_labels
$delta_labels" | paste -sd ' ')"
[ -n "$restore_labels" ] || not_ok "a restore passes no crash point"

number=0
for label in $labels; do
    number=$((number + 1))
    in_cluster "$number"
    HQ_CRASH_POINT=$label daemon_start
    if ! dies 20; then
        not_ok "$label: the daemon dies there" "$scratch/daemon.log"
        leave_cluster "$number"
        continue
    fi
    write_on
    daemon_start
    if wait_for 60 "a backup after $label" has_backup 1; then
        write_on
        sound "$label"
    fi
    [ -z "$daemon" ] || daemon_kill
    leave_cluster "$number"
done

# A restore that died must not start as a server, and the same command goes on with it: every byte is
# as after one that was not interrupted.
contents() { (cd "$1" && find . -type f ! -path './hq_restore/*' -exec sha256sum {} + | sort -k 2 && find . ! -path './hq_restore/*' -printf '%p %y %m\n' | sort); }
check "a restore to compare with" restore pg --latest --cluster "$cluster" --to "$scratch/r"
contents "$scratch/r" >"$scratch/whole"
drop_restored r
again() { # again LABEL OPTION...: the same command ends what died at LABEL
    local label=$1; shift
    check "$label: the same again" restore pg "$@" --latest --cluster "$cluster" --to "$scratch/r"
    contents "$scratch/r" >"$scratch/found"
    check "$label: every byte" cmp "$scratch/whole" "$scratch/found"
    start_restored r && same "$label: every row" "$(sql data -c 'SELECT count(*) FROM steps')" "$(sql r -c 'SELECT count(*) FROM steps')"
    drop_restored r
}
for label in $restore_labels; do
    HQ_CRASH_POINT=$label restore pg --latest --cluster "$cluster" --to "$scratch/r" >"$scratch/out" 2>&1
    same "$label (restore): dies" 137 $?
    if [ -e "$scratch/r/global/pg_control" ]; then
        start_restored r && same "$label (restore): what starts is complete" "$(sql data -c 'SELECT count(*) FROM steps')" "$(sql r -c 'SELECT count(*) FROM steps')"
    else
        refuse "$label (restore): what is there does not start" 1 "could not start|pg_control|not a database cluster" \
            as "$pg_bin/pg_ctl" -D "$scratch/r" -w -t 5 start
    fi
    [ ! -e "$scratch/r/postmaster.pid" ] || drop_restored r
    again "$label (restore)"
done

# Onto a directory that was used since, and damaged.
for label in $delta_labels; do
    must restore pg --latest --cluster "$cluster" --to "$scratch/r"
    start_restored r && sql r -c "INSERT INTO steps (pad) VALUES ('since')" && pg_stop r fast
    dd if=/dev/urandom of="$scratch/r/base/1/1259" bs=1000 seek=10 count=1 conv=notrunc status=none
    : >"$scratch/r/base/1/2608"
    as mkdir "$scratch/r/base/99"
    HQ_CRASH_POINT=$label restore pg --delta --latest --cluster "$cluster" --to "$scratch/r" >"$scratch/out" 2>&1
    same "$label (delta): dies" 137 $?
    again "$label (delta)" --delta
done
