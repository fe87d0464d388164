#!/bin/bash
# wal_delay.sh [--json]: from the acknowledgement of a commit to the moment its WAL is durable where
# it is kept: hq-backupd on a directory and on a Ceph RGW, at flush intervals of 1 s and 100 ms;
# beside it, in the same run and with the same commits, pg_receivewal --synchronous (a local
# directory) and pgBackRest's asynchronous archive-push (the same kind of store). All on one clock.
#
# Environment: HQ_RATE (commits per second, default 200), HQ_SECONDS (of load in each run, 40),
# HQ_PASSES (default "directory:1s directory:100ms rgw:1s rgw:100ms"), HQ_RUNS (3), HQ_BUILD,
# HQ_PG_BIN.
. "$(dirname "$0")/lib.sh"
rate=${HQ_RATE:-200}
seconds=${HQ_SECONDS:-40}
passes=${HQ_PASSES:-directory:1s directory:100ms rgw:1s rgw:100ms}

# As pgbench's own TPC-B-like transaction, with the client's number in the row of history: the n-th
# row of a client is the n-th line of its log, and leads from the time to the transaction.
cat >"$scratch/load.sql" <<'SQL'
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler)
    VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP, (:client_id)::text);
END;
SQL

start_cluster() {
    pg_init data
    cat >>"$scratch/data/postgresql.conf" <<'CONF'
shared_buffers = 512MB
fsync = on
max_wal_size = 4GB
wal_keep_size = 8GB
archive_mode = on
archive_command = '/bin/false'
CONF
    must pg_stop data fast
    pg_start data
    must pgbench -i -q -s 20
}
archive_by() {
    sql data -c "ALTER SYSTEM SET archive_command = '$1'"
    sql data -c "SELECT pg_reload_conf()" >/dev/null
}

# What every receiver of WAL told the server is flushed, looked at every 2 ms.
watch_flush() { # watch_flush SECONDS
    sql data >/dev/null 2>"$scratch/flushed" <<SQL
SET client_min_messages = notice;
SET log_min_messages = fatal;
\set VERBOSITY terse
DO \$\$
DECLARE
    until timestamptz := clock_timestamp() + interval '$1 s';
    one record;
BEGIN
    WHILE clock_timestamp() < until LOOP
        FOR one IN SELECT application_name, flush_lsn FROM pg_stat_replication LOOP
            RAISE NOTICE '% % %', extract(epoch FROM clock_timestamp()), one.application_name, one.flush_lsn;
        END LOOP;
        COMMIT;
        PERFORM pg_sleep(0.002);
    END LOOP;
END \$\$;
SQL
}

# Where a watcher of its own looks for the objects.
place() {
    if [ "$1" = directory ]; then echo "$repository/wal"; else echo "${repository%%\?*}/wal"; fi
}
peer_place() {
    if [ "$1" = directory ]; then echo "$scratch/peer-directory/archive"; else echo "s3://$S3_BUCKET/peer/archive"; fi
}
watcher() { /usr/bin/python3 "$here/store_watch.py" "$@"; }

# one_pass KIND INTERVAL NAME
one_pass() {
    local kind=$1 interval=$2 from
    archive_by /bin/false
    hq_store "$kind" "$3"
    hq_daemon_up "$interval" debug
    [ "$kind" != rgw ] || remove_peer_objects
    peer_init "$kind"
    archive_by "$(peer_command) archive-push %p"
    as mkdir "$scratch/received"
    sql data -c "SELECT pg_create_physical_replication_slot('received')" >/dev/null
    "${become[@]}" "$pg_bin/pg_receivewal" -h "$scratch" -p "${port_of[data]}" -U postgres -D "$scratch/received" -S received --synchronous 2>"$scratch/receiver.log" &
    receiver=$!
    sql data -c "TRUNCATE pgbench_history" -c CHECKPOINT -c "SELECT pg_switch_wal()" >/dev/null
    from=$(sql data -c "SELECT pg_current_wal_insert_lsn()")
    wait_for 60 "the switch in the repository" covers_now
    watch_flush $((seconds + 5)) &
    flush_watcher=$!
    watcher --until $((seconds + 5)) "$(place "$kind")" >"$scratch/listed" &
    store_watcher=$!
    rm -f "$scratch"/log.*
    must pgbench -n -c 4 -j 1 -s 20 -R "$rate" -T "$seconds" -l --log-prefix="$scratch/log" -f "$scratch/load.sql"
    wait "$flush_watcher" "$store_watcher"
    watcher --times "$(peer_place "$kind")" >"$scratch/archived"
    as "$pg_bin/pg_waldump" -p "$scratch/data/pg_wal" -r Transaction -s "$from" 2>/dev/null >"$scratch/waldump"
    sql data -c "SELECT filler::int, xmin FROM pgbench_history ORDER BY xmin::text::bigint" >"$scratch/history"
    kill "$receiver"
    wait "$receiver"
    receiver=
    daemon_stop
    compute "$kind" "$interval"
    clean
}
covers_now() {
    [ "$(sql data -c "SELECT bool_and(flush_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication")" = t ]
}
compute() {
    /usr/bin/python3 "$here/commit_delay.py" --directory "$scratch" --store "$1" --interval "$2" \
        >"$scratch/delays" || { not_ok "delays on $1, $2"; exit 1; }
    cat "$scratch/delays" >>"$scratch/figures"
    say "$1, $2: $(grep -c . "$scratch/history") commits; $(awk -F'\t' '{ printf "%s %s %.0f; ", $1, $2, $3 }' "$scratch/delays")"
}
clean() {
    archive_by /bin/false
    sql data -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots" >/dev/null
    rm -rf "$scratch/received" "$scratch/peer-directory"
    case $repository in /*) rm -rf "$repository" ;; esac
}
remove_peer_objects() {
    local key
    watcher --keys "s3://$S3_BUCKET/peer" | while read -r key; do
        curl -fsS -X DELETE -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --aws-sigv4 aws:amz:us-east-1:s3 \
            -u "$S3_ACCESS_KEY:$S3_SECRET_KEY" "$S3_ENDPOINT/$S3_BUCKET/$key"
    done
}

case $passes in *rgw*) rgw_up; export S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY ;; esac
start_cluster
for run in $(seq "$runs"); do
    for pass in $passes; do
        one_pass "${pass%%:*}" "${pass#*:}" "repository-$run-${pass%%:*}-${pass#*:}"
    done
done
# Ours first: the peers' rows are medians over all passes.
sort -s -t- -k1,1r -o "$scratch/figures" "$scratch/figures"
report "From a commit's acknowledgement to its WAL being durable, pgbench at $rate commits/s for $seconds s"
