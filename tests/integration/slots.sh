#!/bin/bash
# Slots that the server gave up, and servers that have no place for a while: the daemon goes on, and
# says a gap only where WAL is gone. `bash slots.sh [VERSION...]`, by default 15 and 18.
. "$(dirname "$0")/each_version.sh" 120 "15 18" "$@"
. "$(dirname "$0")/lib.sh"
v=$HQ_VERSION

holder=
at_end() { [ -z "$holder" ] || kill -9 "$holder" 2>/dev/null; }

streams() { [ "$(sql data -c "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE 'hq%' AND state = 'streaming'")" = 1 ]; }
fill() { sql data -c "INSERT INTO t SELECT generate_series(1, 20000)" -c "SELECT pg_switch_wal()" >/dev/null; }
set_to() { sql data -c "ALTER SYSTEM SET $1 = '$2'" -c "SELECT pg_reload_conf()" >/dev/null; }
given_up() { sql data -c CHECKPOINT; [ "$(sql data -c "SELECT $1 FROM pg_replication_slots WHERE slot_name = 'hq_test'")" = "$2" ]; }
gaps() { backup gap list --json | grep -c '"gap":'; }
status_says() { backup status >"$scratch/status" 2>&1 && grep -qE -- "$1" "$scratch/status"; }

pg_init data --wal-segsize=1
printf 'max_wal_senders = 3\nwal_keep_size = 1GB\nmin_wal_size = 2MB\nmax_wal_size = 4MB\n' >>"$scratch/data/postgresql.conf"
pg_stop data fast
pg_start data
sql data -c "CREATE TABLE t (n int)"
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the first backup" has_backup 1
catch_up data
daemon_stop || not_ok "$v: the daemon ends cleanly" "$scratch/daemon.log"

if [ "$v" -ge 18 ]; then
    set_to idle_replication_slot_timeout 1s
    fill
    wait_for 20 "the slot to be given up" given_up invalidation_reason idle_timeout
    daemon_start
    check "$v: a slot that was idle too long is made anew" wait_for 20 "the stream" streams
    catch_up data
    same "$v: what the server still has is no gap" 0 "$(gaps)"
    grep -q 'the replication slot was invalidated' "$scratch/daemon.log" && ok "$v: and it is told" || not_ok "$v: and it is told" "$scratch/daemon.log"
    set_to idle_replication_slot_timeout 0
    daemon_stop || not_ok "$v: the daemon ends cleanly" "$scratch/daemon.log"
fi

set_to wal_keep_size 0
set_to max_slot_wal_keep_size 1MB
fill; fill; fill; fill
wait_for 20 "the slot to be lost" given_up wal_status lost
fill; fill
daemon_start
check "$v: a slot that is lost is made anew" wait_for 20 "the stream" streams
wait_for 30 "a backup behind the gap" has_backup 2
catch_up data
same "$v: what the server has removed is a gap" 1 "$(gaps)"
set_to max_slot_wal_keep_size -1
daemon_stop || not_ok "$v: the daemon ends cleanly" "$scratch/daemon.log"

# Others hold every place for a stream: somebody will leave, or raise the limit.
sql data -c "ALTER SYSTEM SET max_wal_senders = 1"
pg_stop data fast
pg_start data
psql -X -d "host=$scratch port=${port_of[data]} user=postgres replication=true" < <(exec sleep 100) >/dev/null 2>&1 &
holder=$!
sleep 0.5
daemon_start
check "$v: without a place for a stream the daemon waits" wait_for 20 "the status" status_says "WAL can't be received since .*max_wal_senders"
grep -q 'What to do: raise max_wal_senders' "$scratch/status" && ok "$v: its status says what to do" || not_ok "$v: its status says what to do" "$scratch/status"
kill "$holder"; holder=
check "$v: and goes on when there is one" wait_for 60 "the stream" streams
status_says "Streaming runs" && ! grep -q "can't be" "$scratch/status" && ok "$v: the trouble has passed" || not_ok "$v: the trouble has passed" "$scratch/status"
daemon_stop || not_ok "$v: the daemon ends cleanly" "$scratch/daemon.log"
