#!/bin/bash
# Every kind of recovery target, on a cluster with tablespaces, odd names and things to leave out.
. "$(dirname "$0")/lib.sh"

pg_init data
mkdir "$scratch/fast"; chown "$user" "$scratch/fast"
sql data -c "CREATE TABLESPACE fast LOCATION '$scratch/fast'"
sql data <<'SQL'
CREATE TABLE steps (n int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), pad text);
CREATE TABLE in_fast (n int, pad text) TABLESPACE fast;
CREATE UNLOGGED TABLE fleeting AS SELECT generate_series(1, 1000) n;
CREATE TABLE "Çağrı kayıtları ñ 患者" (n int);
INSERT INTO "Çağrı kayıtları ñ 患者" SELECT generate_series(1, 77);
INSERT INTO in_fast SELECT n, repeat('f', 100) FROM generate_series(1, 20000) n;
CREATE DATABASE "boş veritabanı";
SQL
# What a crash or a session leaves in the data directory and no backup should carry.
postgres_oid=$(sql data -c "SELECT oid FROM pg_database WHERE datname = 'postgres'")
as mkdir -p "$scratch/data/base/pgsql_tmp"
as sh -c "echo sort >'$scratch/data/base/pgsql_tmp/pgsql_tmp4711.0'; echo temporary >'$scratch/data/base/$postgres_oid/t3_99999'"
hq_init
hq_config data </dev/null
check "check finds nothing to complain about" backup check
daemon_start
wait_for 60 "the first backup" has_backup 1

step() { sql data -c "INSERT INTO steps (n, pad) SELECT $1 * 1000 + i, repeat('s', 200) FROM generate_series(1, 500) i"; }
step 1
time_1=$(sql data -c "SELECT clock_timestamp()")
sleep 0.3
step 2
lsn_2=$(sql data -c "SELECT pg_current_wal_insert_lsn()")
step 3
sql data -c "SELECT pg_create_restore_point('before four')" >/dev/null
step 4
time_4=$(sql data -c "SELECT clock_timestamp()")
sleep 0.3
xid_5=$(sql data -c "INSERT INTO steps (n) VALUES (5000) RETURNING pg_current_xact_id()")
step 6
catch_up data
points=$(restore points --cluster main)
check "points names the cluster and its range" grep -q main <<<"$points"
daemon_stop
same "the daemon ends cleanly on SIGTERM" 0 $?

count='SELECT count(*) FROM steps'
# try WHAT EXPECTED-ROWS restore-options...
try() {
    local what=$1 wanted=$2; shift 2
    rm -rf "${scratch:?}/fast2"
    if ! restore pg --cluster main --to "$scratch/r" --tablespace-map "$scratch/fast=$scratch/fast2" "$@" >"$scratch/out" 2>&1; then
        not_ok "$what: restore" "$scratch/out"
        drop_restored r
        return
    fi
    start_restored r && same "$what" "$wanted" "$(sql r -c "$count")"
}
try "--target-time" 500 --target-time "$time_1"
same "rows in a mapped tablespace" 20000 "$(sql r -c 'SELECT count(*) FROM in_fast')"
same "the tablespace lies where it was mapped" "$scratch/fast2" "$(sql r -c "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")"
same "a table with a name beyond ASCII" 77 "$(sql r -c 'SELECT count(*) FROM "Çağrı kayıtları ñ 患者"')"
same "an unlogged table comes back empty" 0 "$(sql r -c 'SELECT count(*) FROM fleeting')"
same "the empty database is there" 1 "$(sql r -c "SELECT count(*) FROM pg_database WHERE datname = 'boş veritabanı'")"
check "temporary relations and files are left out" sh -c "[ ! -e '$scratch/r/base/$postgres_oid/t3_99999' ] && [ ! -e '$scratch/r/base/pgsql_tmp/pgsql_tmp4711.0' ]"
check "the keys of the recovery are removed when it ends" test ! -e "$scratch/r/hq_restore"
pg_stop r fast
check "page checksums hold" as "$pg_bin/pg_checksums" --check -D "$scratch/r"
drop_restored r
try "--target-lsn" 1000 --target-lsn "$lsn_2"; drop_restored r
try "--target-name" 1500 --target-name "before four"; drop_restored r
try "--target-xid" 2001 --target-xid "$xid_5"; drop_restored r
try "--target-xid --exclusive" 2000 --target-xid "$xid_5" --exclusive; drop_restored r
try "--latest" 2501 --latest; drop_restored r
try "--immediate" 0 --immediate
drop_restored r

tz_time=$(TZ=Europe/Istanbul date -d "$time_1" '+%Y-%m-%dT%H:%M:%S.%6N%:z')
try "--target-time with another zone" 500 --target-time "$tz_time"
drop_restored r

refuse "a time before the first backup" 17 "recoverable from .* to " \
    restore pg --cluster main --to "$scratch/r" --target-time "2001-01-01 00:00:00Z"
refuse "a time after the last commit" 17 "recoverable from .* to " \
    restore plan --cluster main --target-time "2099-01-01 00:00:00Z"
refuse "an LSN that is not there yet" 17 "recoverable from .* to " \
    restore plan --cluster main --target-lsn "FFFF/0"
refuse "a timeline that does not exist" 17 "leads to the timeline asked for" restore plan --cluster main --latest --target-timeline 9
refuse "a backup that does not exist" 8 "no backup" restore plan --cluster main --latest --backup 20010101T000000Z-00000000
refuse "a cluster that does not exist" 8 "no backup of cluster other" restore plan --cluster other --latest
refuse "no time at all" 2 "target-time" restore plan --cluster main --target-time "teatime"
refuse "two targets" 2 "one target" restore plan --cluster main --latest --immediate
check "plan says what would be done" restore plan --cluster main --latest

mkdir "$scratch/full"; echo x >"$scratch/full/file"; chown -R "$user" "$scratch/full"
refuse "a directory that is not empty" 9 "not empty" restore pg --cluster main --to "$scratch/full" --latest
same "what was in it is untouched" x "$(cat "$scratch/full/file")"
refuse "a directory in which a server runs" 15 "postmaster.pid" restore pg --cluster main --to "$scratch/data" --latest
refuse "the tablespace's old place, still in use" 9 "tablespace-map" restore pg --cluster main --to "$scratch/r" --latest
drop_restored r

# A restored and promoted cluster goes on in the same repository, on its new timeline.
rm -rf "$scratch/fast2"
must restore pg --cluster main --to "$scratch/r" --tablespace-map "$scratch/fast=$scratch/fast2" --target-lsn "$lsn_2"
start_restored r
pg_stop data
hq_config r </dev/null
daemon_start
sql r -c "INSERT INTO steps (n) VALUES (9999)"
wait_for 60 "timeline 2 in the repository" sh -c "[ -n \"\$(find '$repository/wal' -name '00000002*' -path '*00000002/*')\" ]"
check "the history of timeline 2 is stored" test -n "$(find "$repository/wal" -name '00000002.history')"
sql r -c "SELECT pg_switch_wal()" >/dev/null
catch_up r
daemon_stop
rm -rf "$scratch/fast3"
check "restore along the new timeline" restore pg --cluster main --to "$scratch/r2" --tablespace-map "$scratch/fast=$scratch/fast3" --latest
start_restored r2 && same "rows of both timelines" 1001 "$(sql r2 -c "$count")"
drop_restored r2
rm -rf "$scratch/fast3"
check "restore along the old timeline" restore pg --cluster main --to "$scratch/r3" --tablespace-map "$scratch/fast=$scratch/fast3" --latest --target-timeline 1
start_restored r3 && same "rows of the old timeline" 2501 "$(sql r3 -c "$count")"
drop_restored r3

check "points lists the timeline that was left" grep -qE "^main .* --target-timeline 1$" <(restore points --cluster main)

# That time is on both: the new timeline has nothing of steps 3 and 4.
lost='WARNING: timeline 2 parts from timeline 1 at .* WITHOUT what timeline 1 committed from .* to .*--target-timeline 1$'
check "a plan warns of a time on the timeline that was left" grep -qE "$lost" <(restore plan --cluster main --target-time "$time_4" 2>&1)
told=$(restore plan --cluster main --target-time "$time_4" --json 2>/dev/null | python3 -c "import json, sys
for b in json.load(sys.stdin)['other_timelines']: print(b['timeline'], b['only_there'])")
same "... and for scripts" "1 True" "$told"
rm -rf "$scratch/fast3"
must restore pg --cluster main --to "$scratch/r3" --tablespace-map "$scratch/fast=$scratch/fast3" --target-time "$time_4"
cp "$scratch/out" "$scratch/warned"
check "... and so does the restore" grep -qE "$lost" "$scratch/warned"
rm -rf "$scratch/fast3" "$scratch/r3"
must restore pg --cluster main --to "$scratch/r3" --tablespace-map "$scratch/fast=$scratch/fast3" --target-time "$time_4" --target-timeline 1
cp "$scratch/out" "$scratch/warned"
check "along the timeline that it names nothing is warned of" sh -c "! grep -q 'WARNING: ' '$scratch/warned'"
start_restored r3 && same "... and the rows of that time are there" 2000 "$(sql r3 -c "$count")"
