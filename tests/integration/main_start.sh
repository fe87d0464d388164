#!/bin/bash
# hq-restore start: reaching a target, looking, going on, promoting, and everything that prevents it.
. "$(dirname "$0")/lib.sh"

pg_init data
sql data -c "CREATE TABLE steps (n int)"
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the end of the first backup" grep -q 'message="backup complete"' "$scratch/daemon.log"
step() { sql data -c "INSERT INTO steps SELECT $1 * 10 + i FROM generate_series(1, 10) i"; }
xid_1=$(sql data -c "INSERT INTO steps VALUES (-1) RETURNING pg_current_xact_id()" | head -n 1)
sql data -c "DELETE FROM steps" -c "SELECT pg_create_restore_point('one')" >/dev/null
step 1
time_1=$(sql data -c "SELECT clock_timestamp()")
sleep 0.2
step 2
lsn_2=$(sql data -c "SELECT pg_current_wal_insert_lsn()")
xid_2=$(sql data -c "INSERT INTO steps VALUES (-1) RETURNING pg_current_xact_id()" | head -n 1)
sql data -c "DELETE FROM steps WHERE n = -1" -c "SELECT pg_create_restore_point('two')" >/dev/null
must backup backup
step 3
sql data -c "SELECT pg_create_restore_point('three')" >/dev/null
time_3=$(sql data -c "SELECT clock_timestamp()")
sleep 0.2
step 4
sql data -c "CREATE DATABASE shop" >/dev/null
db=shop sql data -c "CREATE TABLE orders AS SELECT 1 AS n" -c "CREATE INDEX ON orders (n)"
xid_drop=$(db=shop sql data -c "BEGIN; SELECT pg_current_xact_id(); DROP TABLE orders; COMMIT" | head -n 1)
catch_up data
daemon_stop
pg_stop data fast

dir=$scratch/r
count='SELECT count(*) FROM steps'
# Without a terminal, whatever the tests themselves run on.
start() { as "$scratch/bin/hq-restore" start "$@" </dev/null; }
bring() { rm -rf "$dir"; must restore pg --cluster main --to "$dir" "$@"; }
look() { psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$dir" -p 5432 -U postgres -d postgres "$@"; }
said() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2]))' "$scratch/out" "$1" 2>/dev/null; }
signals() { (cd "$dir" && ls ./*.signal 2>/dev/null); }
keep() { cp "$scratch/out" "$scratch/said"; } # check and refuse write `out` anew
stopped() { ! runs; }
runs() { [ -e "$dir/postmaster.pid" ]; }

# ---- targets that are looked for -----------------------------------------------------------------
plan_of() { restore plan --cluster main --json "$@" 2>"$scratch/out" | python3 -c 'import json, sys; print(json.load(sys.stdin)["backup"])'; }
newest=$(plan_of --latest)
oldest=$(plan_of --target-time "$time_1")
check "there are two backups" test "$newest" != "$oldest"
same "a restore point before the newest backup leads to the older one" "$oldest" "$(plan_of --target-name two)"
same "and so does a transaction" "$oldest" "$(plan_of --target-xid "$xid_2")"
same "a restore point behind it leads to the newest" "$newest" "$(plan_of --target-name three)"
refuse "a restore point that never was" 17 "no stored WAL behind a backup holds the target" restore pg --cluster main --to "$dir" --target-name never
refuse "a transaction that never was" 17 "recoverable from" restore pg --cluster main --to "$dir" --target-xid 987654
refuse "one that lies before the backup that is named" 17 "no stored WAL" restore plan --cluster main --target-name two --backup "$newest"
check "and nothing was written" test ! -e "$dir"
bring --target-xid "$xid_2"
check "recovery to the transaction before the newest backup" start "$dir" --action pause
same "its data" 21 "$(look -c "$count")"
pg_stop r

# ---- pausing, looking, going on ------------------------------------------------------------------
bring --target-time "$time_1"
check "start reaches the target and pauses" start "$dir" --action pause --json --quiet
same "it says that the server is paused" paused "$(said state)"
same "it says which timeline" 1 "$(said timeline)"
same "it says the time of the last commit" t "$(look -c "SELECT abs(extract(epoch FROM '$(said last_commit)'::timestamptz - pg_last_xact_replay_timestamp())) < 0.001")"
same "it says the LSN" "$(look -c 'SELECT pg_last_wal_replay_lsn()')" "$(said lsn)"
same "the data is the target's" 10 "$(look -c "$count")"
refuse "nothing can be written" 1 "read-only" look -c "INSERT INTO steps VALUES (0)"
same "no address is listened at" "" "$(look -c 'SHOW listen_addresses')"
if [ "$(id -u)" = 0 ]; then
    refuse "another user can't connect" 2 "ermission denied" setpriv --reuid=nobody --regid=nogroup --clear-groups psql -X -h "$dir" -p 5432 -U postgres -d postgres -c "SELECT 1"
fi
refuse "an earlier target is refused" 17 "only goes forward" start "$dir" --action pause --target-time "2001-01-01 00:00:00Z"
same "and the server still stands where it was" 10 "$(look -c "$count")"
process=$(head -n 1 "$dir/postmaster.pid")
refuse "nor is a restore point that was passed" 17 "no WAL behind 0/.*nothing is changed" start "$dir" --action pause --target-name one
refuse "nor a transaction" 17 "no WAL behind 0/.*the server stands there still" start "$dir" --action pause --target-xid "$xid_1"
same "the server stands where it was, and was not touched" "10 $process" "$(look -c "$count") $(head -n 1 "$dir/postmaster.pid")"
check "start finds the running server and goes on to a later target" start "$dir" --action pause --target-lsn "$lsn_2" --json --quiet
same "the later target's data" 20 "$(look -c "$count")"
check "a target time with a zone" start "$dir" --action pause --json --quiet \
    --target-time "$(TZ=Asia/Kolkata date -d "$time_3" '+%Y-%m-%d %H:%M:%S.%6N%:z')"
same "its data" 30 "$(look -c "$count")"
check "shutdown at the target" start "$dir" --action shutdown
check "the server is stopped" stopped
same "a later start will recover" ./recovery.signal "$(signals)"
set_to() { grep recovery_target "$dir/postgresql.auto.conf"; }
was=$(set_to)
min=$(as "$pg_bin/pg_controldata" "$dir" | sed -n 's/^Minimum recovery ending location: *//p')
refuse "stopped as well, a restore point that was passed is refused" 17 "no WAL behind $min, .*is stopped still" start "$dir" --action pause --target-name one
refuse "and a transaction" 17 "no WAL behind $min, " start "$dir" --action pause --target-xid "$xid_1"
refuse "and an LSN" 17 "before where this recovery is" start "$dir" --action pause --target-lsn "$lsn_2"
same "no server was started for it, the target is the same" "$was" "$(stopped && set_to)"
check "start goes on where it stopped" start "$dir" --action pause
same "the same data" 30 "$(look -c "$count")"
check "start --latest" start "$dir" --latest --action promote --json --quiet
same "it says promoted" promoted "$(said state)"
same "and of recovery nothing stays in its configuration" "" "$(grep -iE 'recovery|restore_command' "$dir/postgresql.auto.conf")"
same "it says the new timeline" 2 "$(said new_timeline)"
same "it says the target's timeline" 1 "$(said timeline)"
same "the server has its own configuration" "$(said port)" "${port_of[data]}"
same "all data" 40 "$(sql data -c "$count")"
sql data -c "INSERT INTO steps VALUES (0)"
same "it can be written" 41 "$(sql data -c "$count")"
same "no credentials stay with the server" "" "$(tr '\0' '\n' <"/proc/$(head -n 1 "$dir/postmaster.pid")/environ" | grep HQ_S3_)"
pg_stop r fast
refuse "a recovery that is over" 9 "recovery of .* is over" start "$dir"

# ---- tables that can't be read at the pause --------------------------------------------------------
bring --target-xid "$xid_drop" --exclusive
check "start before the commit of a DROP TABLE" start "$dir" --action pause
keep
check "it names the table that the transaction holds" grep -qx "  shop.public.orders" "$scratch/said"
same "and only that" 1 "$(grep -c "^  shop" "$scratch/said")"
check "it says until when, and what avoids it" grep -q "waits until the promotion.*earlier target" "$scratch/said"
check "asked again the same target is reached" start "$dir" --action pause --target-xid "$xid_drop" --exclusive --json --quiet
same "--json has the table" "['shop.public.orders']" "$(said locked)"
check "promoted" start "$dir" --action promote --then private --json --quiet
same "it can be read, with what the transaction was about to drop" 1 "$(psql -XAtq -h "$dir" -p 5432 -U postgres -d shop -c 'SELECT n FROM orders')"
pg_stop r fast

# ---- what prevents it ----------------------------------------------------------------------------
bring --target-time "$time_1"
as sed -i "s/^recovery_target_time = .*/recovery_target_time = '2099-01-01 00:00:00+00'/" "$dir/postgresql.auto.conf"
refuse "a target that WAL does not reach" 17 "not reached: WAL ended at [0-9A-F]*/[0-9A-F]*, last commit 20" start "$dir" --action promote
check "nothing was promoted" stopped
check "what there is can be had all the same" start "$dir" --latest --action promote --then stop --json --quiet
same "the promoted server is stopped" stopped "$(said state)"
same "and of recovery nothing stays in its configuration" "" "$(grep -iE 'recovery|restore_command' "$dir/postgresql.auto.conf")"
pg_start r
same "and has it all" 40 "$(sql data -c "$count")"
pg_stop r

bring --target-lsn "$lsn_2" --target-action pause
echo "shared_preload_libraries = 'no_such_library'" >>"$dir/postgresql.conf"
refuse "a server that does not start" 16 "could not access file .*no_such_library" start "$dir"
keep
check "it says what to do" grep -q "install its package.*hq-restore.log" "$scratch/said"
check "it shows the log" grep -q "server: .*FATAL" "$scratch/said"
as sed -i '$d' "$dir/postgresql.conf"
mkdir "$scratch/etc"; chown "$user" "$scratch/etc"
as mv "$dir/postgresql.conf" "$scratch/own.conf"
echo "data_directory = '/nowhere'" >>"$scratch/own.conf"
refuse "a configuration that lies elsewhere" 16 "config-file" start "$dir"
check "it is taken with --config-file; the restore said pause" start "$dir" --config-file "$scratch/own.conf" --json --quiet
same "paused, as the restore said" paused "$(said state)"
refuse "a user that is not there" 16 "role .*nobody.* does not exist" start "$dir" --config-file "$scratch/own.conf" --user nobody
check "promote and stay private" start "$dir" --config-file "$scratch/own.conf" --action promote --then private
same "still on the private socket" 20 "$(look -c "$count")"
same "and open for writing" f "$(look -c 'SELECT pg_is_in_recovery()')"
keep
check "it says who can reach it, and how to open it" grep -q "Only its owner can reach it.*pg_ctl -D $dir stop" "$scratch/said"
refuse "another start says that it runs, and how to go on" 9 "its server runs: process [0-9]+, port 5432, socket in $dir" start "$dir"
keep
check "... by stopping it" grep -q "pg_ctl -D $dir stop" "$scratch/said"
pg_stop r

bring --target-lsn "$lsn_2"
as sed -i "s|^restore_command = '|&sleep 2; |" "$dir/postgresql.auto.conf"
refuse "a time-out" 14 "not within 1 s" start "$dir" --action pause --timeout 1s
check "the server goes on, and start waits for it again" start "$dir" --action pause
same "and it reached the target" 20 "$(look -c "$count")"
pg_stop r fast
as sed -i "s|^restore_command = '|&exit 126; |" "$dir/postgresql.auto.conf"
refuse "a restore_command that fails" 16 "restore_command failed" start "$dir"

pg_start data
refuse "a server that is not ours" 9 "recovery of .* is over" start "$scratch/data"
as touch "$scratch/data/recovery.signal"
as sh -c "printf \"restore_command = 'false'\n\" >>'$scratch/data/postgresql.auto.conf'"
refuse "a server that runs already" 15 "did not start it" start "$scratch/data"
pg_stop data
as mv "$dir/global/pg_control" "$dir/global/pg_control.hq-restore"
refuse "a restore that was interrupted" 8 "was interrupted" start "$dir"
as mv "$dir/global/pg_control.hq-restore" "$dir/global/pg_control"
refuse "no data directory" 8 "no data directory" start "$scratch/etc"
refuse "no directory at all" 8 "nowhere" start "$scratch/nowhere"
refuse "no programs there" 8 "no program postgres" start "$dir" --pg-bin "$scratch/etc"
refuse "two targets" 2 "one target" start "$dir" --latest --target-lsn 0/1
refuse "exclusive of nothing" 2 "exclusive" start "$dir" --exclusive
refuse "a path too long for a socket" 2 "socket-directory" start "$dir" --socket-directory "/tmp/$(printf 'd%.0s' {1..110})"
if [ "$(id -u)" = 0 ]; then
    cp -a "$dir" "$scratch/r2" && chown root: "$scratch/r2"
    refuse "a directory of root's" 7 "never runs as root" "$scratch/bin/hq-restore" start "$scratch/r2"
    rm -rf "$scratch/r2"
    refuse "a directory of somebody else's" 7 "belongs to" setpriv --reuid=nobody --regid=nogroup --clear-groups "$scratch/bin/hq-restore" start "$dir"
fi

bring --immediate
refuse "going on from the end of the backup" 17 "restored with --immediate" start "$dir" --latest
check "the end of the backup" start "$dir" --action shutdown

# ---- at a terminal -------------------------------------------------------------------------------
bring --target-time "$time_1"
chmod 755 "$scratch"
talk() { timeout 60 python3 "$top/tests/lab/type.py" "> |latest): " "$@"; } # as root where the tests are: start becomes the owner
check "at a terminal it asks, and q leaves it paused" talk "nonsense|q" "$scratch/bin/hq-restore" start "$dir"
keep
check "it says what was reached" grep -q "Replayed to  0/" "$scratch/said"
check "and how to look" grep -q "psql -h $dir" "$scratch/said"
same "the owner's server runs" "$user" "$(stat -c %U "$dir/postmaster.pid")"
check "l refuses an earlier target and goes on to a later one, s stops" talk "l|2001-01-01 00:00Z|l|teatime|l|$lsn_2|s" "$scratch/bin/hq-restore" start "$dir"
keep
check "the earlier one was refused" grep -q "only goes forward" "$scratch/said"
check "the later one was reached" grep -q "target was reached: LSN $lsn_2" "$scratch/said"
check "the server was stopped" grep -q "stopped at the target" "$scratch/said"
check "l latest, then p promotes" talk "l|latest|p" "$scratch/bin/hq-restore" start "$dir"
keep
check "it says so" grep -q "Promoted: timeline 2" "$scratch/said"
same "with all data" 40 "$(sql data -c "$count")"
