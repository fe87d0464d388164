#!/bin/bash
# Every target on every version: `bash versions.sh [VERSION...]`, by default 14 to 18, some 25 s each.
# One cluster with a tablespace, a base backup, streaming; one restore that goes on from target to
# target; its promotion, and recovery along the old and the new timeline.
. "$(dirname "$0")/each_version.sh" 180 "14 15 16 17 18" "$@"
. "$(dirname "$0")/lib.sh"
v=$HQ_VERSION
declare -A segment_mib=([14]=16 [15]=1 [16]=1 [17]=2 [18]=16)

pg_init data --wal-segsize="${segment_mib[$v]}"
same "$v: the server is of that version" "$v" "$(sql data -c "SELECT current_setting('server_version_num')::int / 10000")"
printf 'track_commit_timestamp = on\nmax_prepared_transactions = 2\n' >>"$scratch/data/postgresql.conf"
pg_stop data fast
pg_start data
mkdir "$scratch/fast"; chown "$user" "$scratch/fast"
sql data <<SQL
CREATE TABLESPACE fast LOCATION '$scratch/fast';
CREATE TABLE steps (n int);
CREATE TABLE dropped (n int PRIMARY KEY, t text);
CREATE TABLE in_fast TABLESPACE fast AS SELECT n, repeat('f', 100) AS pad FROM generate_series(1, 20000) n;
SQL
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the first backup" has_backup 1

# Each step's rows are 10 more; where a step is a point to stop at, the point is its commit.
insert="INSERT INTO steps SELECT generate_series(1, 10)"
sql data -c "$insert"
xid=$(sql data -c "$insert RETURNING pg_current_xact_id()" | head -n 1)
time_2=$(sql data -c "SELECT pg_xact_commit_timestamp('$xid')")
sleep 0.1
lsn_3=$(sql data -c "BEGIN" -c "$insert" -c "SELECT pg_current_wal_insert_lsn()" -c "COMMIT")
xid_4=$(sql data -c "$insert RETURNING pg_current_xact_id()" | head -n 1)
# Its end names it behind what it dropped, statistics and caches: differently in 14, 15 to 17, 18.
xid_p=$(sql data -c "BEGIN" -c "DROP TABLE dropped" -c "SAVEPOINT s" -c "CREATE TABLE made (n int)" -c "SELECT pg_current_xact_id()" -c "PREPARE TRANSACTION 'p'")
sql data -c "COMMIT PREPARED 'p'"
sql data -c "SELECT pg_create_restore_point('before five')" >/dev/null
sql data -c "$insert"
sleep 0.1
time_between=$(TZ=America/St_Johns date '+%Y-%m-%d %H:%M:%S.%6N%:z')
sleep 0.1
sql data -c "$insert"
sql data -c "INSERT INTO in_fast SELECT n, 'later' FROM generate_series(1, 10) n"
catch_up data
daemon_stop
same "$v: the daemon ends cleanly" 0 $?
pg_stop data fast

check "$v: the end of a prepared transaction is found" restore plan --cluster main --target-xid "$xid_p"
refuse "$v: a transaction that is in no WAL is refused" 17 "no stored WAL" restore plan --cluster main --target-xid "$((xid_p + 1000000))"

count='SELECT count(*) FROM steps'
start() { as "$scratch/bin/hq-restore" start "$scratch/$1" --pg-bin "$pg_bin" "${@:2}" --json --quiet </dev/null; }
look() { psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$scratch/$1" -p 5432 -U postgres -d postgres -c "$2"; }
said() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2]))' "$scratch/out" "$1" 2>/dev/null; }
# stop_at WHAT ROWS TARGET...: the one restored cluster goes on to this target
stop_at() {
    local what=$1 wanted=$2; shift 2
    if start chain --action pause "$@" >"$scratch/out" 2>&1; then
        same "$v: $what" "$wanted paused" "$(look chain "$count") $(said state)"
    else
        not_ok "$v: $what" "$scratch/out"
    fi
}
bring() { # bring NAME restore-options...
    local name=$1; shift
    check "$v: restore $*" restore pg --cluster main --to "$scratch/$name" --tablespace-map "$scratch/fast=$scratch/fast-$name" "$@"
}

bring backup --immediate
check "$v: the end of the backup" start backup --action pause
same "$v: nothing behind it" "0 20000" "$(look backup "$count") $(look backup 'SELECT count(*) FROM in_fast')"
pg_stop backup
bring chain --target-time "$time_2" --exclusive
stop_at "--target-time --exclusive, a commit's very microsecond" 10
stop_at "--target-time, the same" 20 --target-time "$time_2"
stop_at "--target-lsn --exclusive, a commit record's" 20 --target-lsn "$lsn_3" --exclusive
stop_at "--target-lsn, the same" 30 --target-lsn "$lsn_3"
stop_at "--target-xid --exclusive" 30 --target-xid "$xid_4" --exclusive
stop_at "--target-xid" 40 --target-xid "$xid_4"
stop_at "--target-xid of a prepared transaction" 40 --target-xid "$xid_p"
stop_at "--target-name" 40 --target-name "before five"
stop_at "--target-time between commits, half an hour's zone" 50 --target-time "$time_between"
check "$v: --latest, then promoted" start chain --latest --action promote
same "$v: on the next timeline" "1 2 promoted" "$(said timeline) $(said new_timeline) $(said state)"
same "$v: all rows" 60 "$(sql data -c "$count")"
same "$v: rows in the mapped tablespace" 20010 "$(sql data -c 'SELECT count(*) FROM in_fast')"
same "$v: the tablespace lies where it was mapped" "$scratch/fast-chain" "$(sql data -c "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")"

# Its new timeline goes into the same repository.
daemon_start
sql data -c "$insert"
catch_up data
daemon_stop
pg_stop chain fast
bring new --latest
check "$v: recovery along the new timeline" start new --action pause
same "$v: rows of both timelines" "70 2" "$(look new "$count") $(said timeline)"
pg_stop new
bring old --latest --target-timeline 1
check "$v: recovery along the old timeline" start old --action pause
same "$v: rows of the old timeline" "60 1" "$(look old "$count") $(said timeline)"
