#!/bin/bash
# The daemon in bad company: killed under load, a server that restarts or refuses, two backups at
# once, a full disk under its spool; then clusters of unusual shape.
#
# Environment: HQ_SEED (of the random moments), HQ_TABLES (default 2000).
. "$(dirname "$0")/lib.sh"
RANDOM=${HQ_SEED:-7}

# comes_back WHAT PG SQL: a restore of everything answers SQL as the server does
comes_back() {
    local wanted
    wanted=$(sql "$2" -c "$3")
    if ! restore pg --cluster "$cluster" --latest --to "$scratch/r" >"$scratch/out" 2>&1; then
        not_ok "$1: restore" "$scratch/out"
    elif start_restored r; then
        same "$1" "$wanted" "$(sql r -c "$3")"
    fi
    drop_restored r
}
is_streaming() { [ "$(sql "$1" -c "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'hq-backup'")" != 0 ]; }
verifies() { check "$1" backup verify --key "$scratch/restore.key"; }

# ---- What the server refuses, and that it is said what to do -------------------------------------
pg_init data
pgbench="$pg_bin/pgbench -h $scratch -p ${port_of[data]} -U postgres"
hba=$scratch/data/pg_hba.conf
hq_init
hq_config data </dev/null
reload() { sql data -c "SELECT pg_reload_conf()" >/dev/null; sleep 0.3; }

cp -p "$hba" "$scratch/hba"
grep -v replication "$scratch/hba" >"$hba"
reload
refuse "pg_hba.conf without a line" 16 'local replication postgres' backup backup
refuse "... and check says the line" 1 'do: add to pg_hba.conf: `local replication postgres' backup check
cp -p "$scratch/hba" "$hba"
reload
sql data -c "CREATE ROLE plain LOGIN; CREATE ROLE keeper LOGIN REPLICATION"
sed -i 's/user=postgres/user=plain/' "$config"
refuse "a role without REPLICATION" 7 'ALTER ROLE plain (WITH )?REPLICATION' backup backup
refuse "... and check says so" 1 'do: .*ALTER ROLE plain' backup check
sed -i 's/user=plain/user=nobody_here/' "$config"
SECONDS=0
refuse "a role that does not exist" 7 'nobody_here' backup backup
check "... and is refused at once" test "$SECONDS" -lt 5
sed -i 's/user=nobody_here/user=keeper/' "$config"
check "a role with REPLICATION and nothing else suffices" backup check
sql data -c "SELECT pg_drop_replication_slot('hq_test')" >/dev/null
sql data -c "ALTER SYSTEM SET max_wal_senders = 0"
pg_stop data fast; pg_start data
refuse "no WAL senders" 1 'max_wal_senders' backup check
sql data -c "ALTER SYSTEM RESET max_wal_senders" -c "ALTER SYSTEM SET max_replication_slots = 0"
pg_stop data fast; pg_start data
refuse "no replication slots" 1 'max_replication_slots' backup check
sql data -c "ALTER SYSTEM RESET max_replication_slots"
pg_stop data fast; pg_start data
pg_stop data fast
refuse "a stopped server" 14 'connect|socket' backup backup
refuse "... and check says so" 1 'FAILED connection' backup check
pg_start data
hq_config data </dev/null

# ---- Killed at random moments under load ---------------------------------------------------------
must $pgbench -i -q -s 10 postgres
daemon_start
wait_for 60 "the first backup" has_backup 1
$pgbench -n -c 3 -T 24 postgres >"$scratch/pgbench.log" 2>&1 &
load=$!
# As systemd does: hq-backup backup may hold the WAL lock for the moment in which no daemon runs.
keep_up() {
    kill -0 "$daemon" 2>/dev/null && return
    tail -n 2 "$scratch/daemon.log" | grep -q 'code=BUSY' ||
        not_ok "the daemon had ended by itself" "$scratch/daemon.log"
    daemon_start
}
stays_up() { keep_up; sleep 1; kill -0 "$daemon"; }
kills=0
for _ in $(seq 8); do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    # Now and then a backup is on its way too.
    if [ $((RANDOM % 2)) = 0 ]; then backup backup >"$scratch/backup.log" 2>&1 & sleep "0.$((RANDOM % 10))"; fi
    keep_up
    daemon_kill
    kills=$((kills + 1))
    sleep "0.$((RANDOM % 10))"
    daemon_start
done
wait "$load"
same "pgbench is not disturbed by $kills kills" 0 $?
wait_for 60 "the backups beside it" sh -c "! pgrep -f '^$scratch/bin/hq-backup backup' "
wait_for 30 "the daemon" stays_up
wait_for 30 "streaming" is_streaming data
check "a backup after the kills" backup backup
same "... does not warn of the slot, which the daemon has" 0 "$(grep -c 'keeps WAL' "$scratch/out")"
catch_up data
verifies "the repository verifies after the kills"
totals='SELECT count(*), sum(delta), max(mtime) FROM pgbench_history'
comes_back "every transaction is there" data "$totals"

# ---- Two backups at once; a server that restarts under one ---------------------------------------
backup backup >"$scratch/one.log" 2>&1 & one=$!
backup backup >"$scratch/two.log" 2>&1 & two=$!
wait "$one"; first=$?
wait "$two"; second=$?
same "of two backups at once one works, the other is refused" "0 15" "$(printf '%s\n' "$first" "$second" | sort -n | paste -sd ' ')"
sql data -c "CREATE TABLE bulk AS SELECT n, md5(n::text) || repeat('z', 500) pad FROM generate_series(1, 200000) n; CHECKPOINT"
before=$(backups)
backup backup >"$scratch/one.log" 2>&1 & one=$!
sleep 0.7
pg_stop data fast
wait "$one"
status=$?
if [ "$status" = 0 ]; then not_ok "the backup ended before the restart; nothing was tested"; else
    ok "a backup under which the server stops fails (status $status)"
fi
check "... as a failure that may pass, in words" grep -qiE 'terminat|connect|shut|closed' "$scratch/one.log"
pg_start data
same "... and leaves no backup behind" "$before" "$(backups)"
check "the next one works" backup backup
catch_up data
check "the daemon outlived the restart" kill -0 "$daemon"
verifies "the repository verifies"
comes_back "everything is there" data 'SELECT count(*), sum(n) FROM bulk'
# A segment of its own for what follows: what is begun of one must fit into the spool's file system
# with the rest of it. Reading all rows has written their hint bits, and so WAL.
sql data -c "SELECT pg_switch_wal()" >/dev/null
catch_up data
daemon_stop
same "the daemon ends cleanly" 0 $?

# ---- A full file system under the spool ----------------------------------------------------------
# Room for less than one segment first, then for as many as the archiver holds at once.
if [ "$(id -u)" = 0 ]; then
    mkdir "$scratch/spool"
    mount -t tmpfs -o size=160m,mode=700,uid="$(id -u postgres)" tmpfs "$scratch/spool" &&
        mounts="$mounts $scratch/spool"
    head -c 154M /dev/zero >"$scratch/spool/ballast"
    hq_config data <<YAML
spool:
  path: $scratch/spool
YAML
    daemon_start
    wait_for 20 "streaming" is_streaming data
    sql data -c "CREATE TABLE flood AS SELECT n, md5(n::text) || repeat('w', 900) pad FROM generate_series(1, 60000) n"
    wait_for 20 "the spool to be full" grep -q 'code=NO_SPACE.*make room' "$scratch/daemon.log"
    sleep 1
    flushed=$(sql data -c "SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication")
    confirmed=$(sql data -c "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'hq_test'")
    stored=$(reaches)
    same "nothing is acknowledged that is not in the repository" t \
        "$(sql data -c "SELECT greatest('$flushed'::pg_lsn, '$confirmed'::pg_lsn) <= '$stored'::pg_lsn")"
    rm "$scratch/spool/ballast"
    catch_up data && ok "it goes on when there is room"
    check "the daemon did not end for want of room" kill -0 "$daemon"
    comes_back "nothing is lost" data 'SELECT count(*), sum(n) FROM flood'
    verifies "the repository verifies after the full disk"
    daemon_stop
fi
pg_stop data
rm -rf "$scratch/data" "$scratch/repository" "$scratch/state"

# ---- Small segments, many tables, a relation of more than one file -------------------------------
repository=$scratch/repository2
rm -f "$scratch/"*.key
hq_init
pg_init odd --wal-segsize=1
tables=${HQ_TABLES:-2000}
hq_config odd </dev/null
sql odd -c "ALTER SYSTEM SET max_locks_per_transaction = 4096" -c "ALTER SYSTEM SET max_wal_size = '4GB'"
pg_stop odd fast; pg_start odd
sql odd -c "SET client_min_messages = warning; DO \$\$ BEGIN FOR i IN 1..$tables LOOP EXECUTE format('CREATE TABLE t%s AS SELECT %s AS n', i, i); END LOOP; END \$\$"
daemon_start
wait_for 300 "a backup of $tables tables" has_backup 1
# Two wide rows fill a page: some 140,000 pages are more than one GiB, so a second file.
sql odd -c "CREATE TABLE large (n int, pad text) WITH (autovacuum_enabled = off); ALTER TABLE large ALTER pad SET STORAGE PLAIN"
began=$SECONDS
sql odd -c "INSERT INTO large SELECT n, repeat(md5(n::text), 220) FROM generate_series(1, 140000) n"
echo "# $((SECONDS - began)) s to write the large table"
same "the large table has a second file" 1 "$(find "$scratch/odd/base" -name '*.1' | grep -cE '/[0-9]+\.1$')"
check "a backup of it" backup backup
wait_for 240 "a GiB of WAL in segments of 1 MiB" covered odd "$(sql odd -c 'SELECT pg_current_wal_flush_lsn()')"
sql odd -c "CREATE TABLE last AS SELECT 1 n"
catch_up odd
daemon_stop
same "the daemon ends cleanly after it" 0 $?
comes_back "small segments, $tables tables and a relation of two files come back" odd \
    "SELECT count(*), sum(n), md5(string_agg(md5(pad), '' ORDER BY n)), (SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]+$'), (SELECT n FROM t$tables), (SELECT n FROM last) FROM large"
verifies "the repository verifies at the end"
