#!/bin/bash
# What a daemon meets on its host: a metrics port that is taken, a second daemon, a slot that goes
# while a backup is under way.
. "$(dirname "$0")/lib.sh"

log=$scratch/daemon.log
squatter=
at_end() { [ -z "$squatter" ] || kill "$squatter"; }
said() { grep -qE -- "$1" "$log"; }
pg_init data --wal-segsize=1
sql data -c "ALTER SYSTEM SET max_wal_size = '4MB'" -c "ALTER SYSTEM SET min_wal_size = '2MB'" \
    -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" -c "CREATE TABLE t (n int)" >/dev/null
hq_init
read -r port < <("$top/tests/lab/free-ports.py" 1)
hq_config data <<YAML
metrics: {listen: "127.0.0.1:$port"}
YAML

# ---- The metrics' port is somebody else's --------------------------------------------------------
python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $port)); s.listen(); time.sleep(120)" &
squatter=$!
sleep 0.5
daemon_start
wait_for 20 "a word on the port" said "level=error message=\"metrics are not served\".*127.0.0.1:$port.*Address already in use.*hint=.*metrics.listen"
wait_for 20 "streaming" said 'message="streaming WAL"' && ok "a metrics port that is taken does not keep WAL waiting"
sql data -c "INSERT INTO t VALUES (1)"
wait_for 60 "the first backup" said 'message="backup complete"' && ok "... nor a backup"
catch_up data
kill "$squatter"
wait "$squatter" 2>/dev/null
squatter=
wait_for 20 "the metrics" curl -sf --max-time 2 -o "$scratch/metrics" "http://127.0.0.1:$port/metrics" && ok "... and they are served when it is free"
check "... which is logged" said 'message="metrics are served"'
same "... with what is in them" 1 "$(grep -c '^hqbackup_backups{' "$scratch/metrics")"

# ---- A second daemon -----------------------------------------------------------------------------
"${become[@]}" "$scratch/bin/hq-backupd" --config "$config" 2>"$scratch/second.log" &
second=$!
wait_for 20 "a word on the first daemon" grep -qE "waiting for another process that archives WAL.*code=BUSY.*process $daemon holds the lock" "$scratch/second.log" &&
    ok "a second daemon names the process that it waits for"
sleep 1
check "... and waits" kill -0 "$second"
kill "$second"
wait "$second"
same "... and ends cleanly when it is told to" 0 $?
"${become[@]}" "$scratch/bin/hq-backupd" --config "$config" 2>"$scratch/second.log" &
second=$!
sleep 1
daemon_stop
same "the first one ends" 0 $?
daemon=$second
wait_for 20 "the second daemon" grep -qF 'message="streaming WAL"' "$scratch/second.log" && ok "the second takes over when the first ends"
sql data -c "INSERT INTO t VALUES (2)"
catch_up data
daemon_stop
same "... and ends cleanly" 0 $?
hq_config data <<YAML
wal: {source: push}
YAML
daemon_start
wait_for 20 "the daemon" backup status
"${become[@]}" "$scratch/bin/hq-backupd" --config "$config" 2>"$scratch/second.log" &
second=$!
wait_for 20 "a word on the first daemon" grep -qE "waiting for another hq-backupd.*process $daemon holds the lock" "$scratch/second.log" &&
    ok "so does one that streams nothing"
kill "$second"
wait "$second"
same "... and ends cleanly when it is told to" 0 $?
daemon_stop

# ---- The slot is dropped while a backup is under way ---------------------------------------------
hq_config data </dev/null
: >"$log"
daemon_start
wait_for 20 "streaming" said 'message="streaming WAL"'
catch_up data
kill -STOP "$daemon"
sql data -c "SELECT pg_terminate_backend(pid) FROM pg_stat_replication" >/dev/null
idle() { [ "$(sql data -c "SELECT active FROM pg_replication_slots WHERE slot_name = 'hq_test'")" = f ]; }
wait_for 10 "a slot that nobody uses" idle
before=$(backups)
backup backup >"$scratch/backup.log" 2>&1 &
job=$!
wait_for 30 "the backup's end but for its WAL" has_backup $((before + 1))
sql data -c "SELECT pg_drop_replication_slot('hq_test')" >/dev/null
for n in 1 2 3 4 5 6 7 8; do sql data -c "INSERT INTO t VALUES ($n)" -c "SELECT pg_switch_wal()" -c CHECKPOINT >/dev/null; done
kill -CONT "$daemon"
SECONDS=0
wait "$job"
same "a backup whose WAL is lost fails" 8 $?
took=$SECONDS
check "... soon" test "$took" -lt 30
echo "# after $took s"
check "... with a message" grep -qE "WAL from 0/[0-9A-F]+ on was lost while backup [^ ]+ was taken" "$scratch/backup.log"
wait_for 60 "the next backup" has_backup $((before + 2))
covers() { restore points --cluster main | grep -qE 'covered$|covered '; }
wait_for 90 "the backup that covers the gap" covers && ok "... and another one covers the gap"
check "a restore works" restore pg --cluster main --latest --to "$scratch/r"
if start_restored r; then same "... with every row" "$(sql data -c 'SELECT count(*), sum(n) FROM t')" "$(sql r -c 'SELECT count(*), sum(n) FROM t')"; fi
daemon_stop
same "the daemon ends cleanly" 0 $?
