#!/bin/bash
# The governor alone, on a real server: slots that are dropped, lost, invalidated; and what it asks
# the archiver for.
. "$(dirname "$0")/lib.sh"

log=$scratch/daemon.log
said() { grep -qE -- "$1" "$log"; }
settings() { # settings NAME=VALUE...
    local setting
    for setting in "$@"; do sql data -c "ALTER SYSTEM SET ${setting%%=*} = '${setting#*=}'"; done
    sql data -c "SELECT pg_reload_conf()" >/dev/null
    sleep 0.3
}
write_wal() { # write_wal MEGABYTES
    sql data -c "TRUNCATE flood" -c "INSERT INTO flood SELECT n, repeat(md5(n::text), 250) FROM generate_series(1, $1 * 122) n" -c "SELECT pg_switch_wal()" >/dev/null
}
looks() { [ "$(sql data -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hq-backup-governor' AND state = 'idle' AND query LIKE 'WITH w AS%'")" = 1 ]; }

pg_init data
sql data -c "CREATE ROLE keeper LOGIN REPLICATION" -c "CREATE TABLE flood (n int, pad text)" \
    -c "ALTER TABLE flood ALTER pad SET STORAGE EXTERNAL" -c "ALTER SYSTEM SET max_wal_size = '64MB'" \
    -c "ALTER SYSTEM SET min_wal_size = '32MB'" -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" >/dev/null
version=$(sql data -c "SHOW server_version_num")
cp "$build/../tests/governor_probe" "$scratch/bin/"
probe= # its process
probe_start() { # probe_start SLOT POLICY
    : >"$log"
    rm -f "$scratch/tell"
    mkfifo "$scratch/tell"
    "${become[@]}" "$scratch/bin/governor_probe" "host=$scratch port=${port_of[data]} user=keeper" "$1" "$2" \
        <"$scratch/tell" >"$scratch/told" 2>"$log" &
    probe=$!
    exec 7>"$scratch/tell"
}
probe_stop() {
    exec 7>&-
    wait "$probe"
}
told() { grep -c "$1" "$scratch/told"; }
probe_status() {
    echo status >&7
    sleep 0.3
    tail -n 1 "$scratch/told"
}
make_slot() { sql data -c "SELECT pg_create_physical_replication_slot('alone', true)" >/dev/null; }
drop_slot() { sql data -c "SELECT pg_drop_replication_slot('alone')" >/dev/null; }
# within SECONDS WHAT PATTERN: the log says so in time
within() {
    local began=$SECONDS
    wait_for 30 "$2" said "$3" || return
    check "$2 is told of within $1 s" test $((SECONDS - began)) -le "$1"
}

# ---- A slot that is dropped, and one that the server gives up ------------------------------------
make_slot
probe_start alone protect-wal
wait_for 30 "a look" looks
drop_slot
within 6 "a slot that was dropped" 'stage=lost before=ok reason="the slot is gone" wal_status=missing.*hint=.*who dropped it'
sleep 2
same "... once" 1 "$(grep -c 'stage=lost' "$log")"
make_slot
within 6 "its return" 'level=info.*stage=ok before=lost'
echo 'let go' >&7
drop_slot
sleep 4
same "a slot that is let go of is no news" 1 "$(grep -c 'stage=lost' "$log")"
echo stream >&7
sleep 3
same "nor that of a server which WAL does not come from" 1 "$(grep -c 'stage=lost' "$log")"
make_slot
write_wal 128
sleep 3
same "... whatever it holds" 1 "$(grep -c 'stage=lost' "$log")$(grep -c 'stage=[cw]' "$log" | tr -d 0)"
sql data -c "SELECT pg_replication_slot_advance('alone', pg_current_wal_lsn())" >/dev/null
echo rest >&7
settings max_slot_wal_keep_size=32MB
write_wal 24
sql data -c "INSERT INTO flood VALUES (0, 'one record into the next segment: exactly half is left at its start')"
within 6 "half of max_slot_wal_keep_size" 'stage=warning before=ok reason=max_slot_wal_keep_size'
write_wal 48
sql data -c CHECKPOINT
within 6 "a lost slot" 'stage=lost .*wal_status=lost.*hint=.*max_slot_wal_keep_size'
settings max_slot_wal_keep_size=-1
drop_slot
if [ "$version" -ge 180000 ]; then
    make_slot
    within 6 "its return" 'stage=ok before=lost.*'
    settings idle_replication_slot_timeout=1s
    sleep 2
    sql data -c CHECKPOINT
    within 6 "a slot that was idle for too long" 'wal_status=invalid invalidation=idle_timeout.*idle_replication_slot_timeout'
    same "... and stands in the status" "known lost idle_timeout let_gos=0" "$(probe_status)"
    settings idle_replication_slot_timeout=0
    drop_slot
fi
probe_stop
same "the governor ends when it is told" 0 $?

# ---- What is let go of, and that it is asked for once --------------------------------------------
make_slot
probe_start alone protect-disk
wait_for 30 "a look" looks
write_wal 128
wait_for 30 "letting go" said 'stage=letting-go'
sleep 4
same "letting go is asked for once" 1 "$(told 'let go')"
sql data -c "SELECT pg_replication_slot_advance('alone', pg_current_wal_lsn())" >/dev/null
within 6 "the way back" 'stage=ok before=letting-go'
write_wal 128
wait_for 30 "letting go again" sh -c "[ \$(grep -c 'let go' '$scratch/told') = 2 ]" && ok "... and again only after it was left"
same "... and is counted" "known letting-go let_gos=2" "$(probe_status)"
sql data -c "SELECT pg_replication_slot_advance('alone', pg_current_wal_lsn())" >/dev/null
sql data -c "SELECT pg_create_physical_replication_slot('other', true)" >/dev/null
within 6 "the way back" 'stage=ok before=letting-go'
write_wal 128
wait_for 30 "a critical stage" said 'stage=critical .*hint=.*other slots'
sleep 3
same "WAL that another slot holds as well is no reason to let go" 2 "$(told 'let go')"
sql data -c "SELECT pg_drop_replication_slot('other')" >/dev/null
drop_slot
probe_stop
