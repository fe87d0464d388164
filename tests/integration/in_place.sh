#!/bin/bash
# Back in time in place, with the daemon left running, and a backup right behind it: the restored
# server has no slot and removes WAL at its next checkpoint, and yet there is no gap.
. "$(dirname "$0")/lib.sh"

pg_init data --wal-segsize=1
printf 'wal_keep_size = 0\nmin_wal_size = 2MB\nmax_wal_size = 64MB\n' >>"$scratch/data/postgresql.conf"
pg_stop data fast
pg_start data
sql data -c "CREATE TABLE t (n int)"
hq_init
hq_config data <<YAML
wal:
  flush_interval: 200ms
YAML
dir=$scratch/data

rows() { sql "$1" -c "SELECT count(*), sum(n) FROM t"; }
write() { sql data -c "INSERT INTO t SELECT generate_series(1, $1)"; }
streams() { [ "$(sql data -c "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE 'hq%' AND state = 'streaming'")" = 1 ]; }
slots() { sql data -c "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'hq_test' AND restart_lsn IS NOT NULL"; }
holds() { [ "$(slots)" = 1 ]; }
timeline() { sql data -c "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"; }
gaps() { backup gap list --json | grep -c '"gap":'; }
# go_back: to what `then` and `at` say, with `pause` before it
go_back() {
    must restore pg --cluster main --to "$dir" --target-time "$at" --delta
    check "$1: the restored server is open" as "$scratch/bin/hq-restore" start "$dir" --pg-bin "$pg_bin" --action promote </dev/null
    same "$1: with the rows of then" "$then" "$(rows data)"
}
mark() {
    then=$(rows data)
    at=$(sql data -c "SELECT clock_timestamp()")
    sleep 0.2
    write 1000
    catch_up data
}
# After this the backup's checkpoint may remove the segment that a promotion begins with.
leave_the_first_segment() {
    write 10
    sql data -c "SELECT pg_switch_wal()" >/dev/null
    write 10
    end=$(sql data -c "SELECT pg_current_wal_lsn()")
}
checkpointed() { [ "$(sql data -c "SELECT redo_lsn >= '$end' FROM pg_control_checkpoint()")" = t ]; }
restores() { # restores WHAT: all of it, from what is stored alone
    catch_up data
    must restore pg --cluster main --to "$scratch/r" --latest
    start_restored r && same "$1" "$(rows data)" "$(rows r)"
    drop_restored r
}

daemon_start
wait_for 60 "the first backup" has_backup
write 5000

# ---- the server comes back while the daemon waits before it tries again --------------------------
mark
pg_stop data fast
sleep 17
go_back "in place"
began=$SECONDS
wait_for 30 "the stream" streams
check "the daemon streams from it at once" test $((SECONDS - began)) -le 4
same "a promotion begins timeline 2" 00000002 "$(timeline)"
leave_the_first_segment
check "a backup of the new timeline" backup backup
same "nothing is missing" 0 "$(gaps)"
restores "and all of it can be restored"

# ---- a daemon that does not get to it: the backup itself sees to the slot ------------------------
mark
pg_stop data fast
kill -STOP "$daemon"
go_back "again"
same "there is no slot" 0 "$(slots)"
leave_the_first_segment
backup backup >"$scratch/backup.out" 2>&1 &
job=$!
check "the backup makes the slot" wait_for 30 "the slot" holds
check "before its checkpoint" wait_for 60 "the checkpoint" checkpointed
check "says that it waits for WAL" wait_for 60 "the backup's words" grep -q 'waits for its WAL.*up_to=' "$scratch/backup.out"
check "not that it gets slower" wait_for 30 "the progress" grep -q 'backup: waiting for WAL up to .*no hq-backupd here says' "$scratch/backup.out"
kill -CONT "$daemon"
wait "$job"
status=$?
cp "$scratch/backup.out" "$scratch/out"
[ "$status" = 0 ] && ok "a backup beside a daemon that hangs" || not_ok "a backup beside a daemon that hangs (status $status)" "$scratch/out"
same "timeline 3 has begun" 00000003 "$(timeline)"
same "nothing is missing there" 0 "$(gaps)"
restores "and all of that can be restored"
daemon_stop || not_ok "the daemon ends cleanly" "$scratch/daemon.log"
[ "$failures" = 0 ]
