#!/bin/bash
# Archives the WAL of a real PostgreSQL, kills the archiver in every way, and compares what is in the
# repository with the server's segment files: archiver.sh PATH/archiver_test.
# HQ_TEST_PGBIN names another server's programs; HQ_TEST_ROUNDS how often it is killed at random.
set -euo pipefail
set +m

tool=$1
bin=${HQ_TEST_PGBIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
# Of another server there may be the server alone; clients and tools come from the system.
tools=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -x "$bin/initdb" ] && [ -x "$tools/pgbench" ] && command -v psql >/dev/null || { echo "no PostgreSQL here"; exit 77; }

export LC_ALL=C.UTF-8
scratch=$(mktemp -d)
port=$((20000 + RANDOM % 20000))
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { echo "no user postgres"; exit 77; }
    chown postgres "$scratch"
    as=(setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups)
else
    as=()
fi
data=$scratch/data
place=$scratch/place
archiver=0

finish() {
    status=$?
    [ $archiver = 0 ] || kill -9 $archiver 2>/dev/null || true
    for d in "$scratch"/data*; do
        "${as[@]}" "$bin/pg_ctl" -D "$d" -m immediate stop >/dev/null 2>&1 || true
    done
    if mountpoint -q "$scratch/small" 2>/dev/null; then umount -l "$scratch/small"; fi
    if [ $status -ne 0 ]; then
        echo "--- failed ($status); archiver:"
        tail -25 "$scratch/out" 2>/dev/null || true
        echo "--- server:"
        tail -15 "$scratch/log" 2>/dev/null || true
    fi
    [ -n "${HQ_TEST_KEEP:-}" ] || rm -rf "$scratch"
    exit $status
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}
ok() {
    echo "ok - $*"
}
sql() {
    psql -X -h "$scratch" -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1 -Atq "$@"
}
conninfo() {
    echo "host=$scratch port=$port user=postgres"
}
# make_cluster DIRECTORY [MIB]: a cluster that keeps all its WAL, for comparing.
make_cluster() {
    "${as[@]}" "$bin/initdb" -D "$1" -U postgres -A trust -N --wal-segsize="${2:-1}" >/dev/null
    cat >>"$1/postgresql.conf" <<C
unix_socket_directories = '$scratch'
listen_addresses = ''
max_wal_senders = 6
wal_keep_size = 4000
max_wal_size = 4GB
autovacuum = off
track_commit_timestamp = on
C
}
start() {
    "${as[@]}" "$bin/pg_ctl" -D "${1:-$data}" -l "$scratch/log" -w -o "-p $port" start >/dev/null
}
stop() {
    "${as[@]}" "$bin/pg_ctl" -D "${1:-$data}" -w -m "${2:-fast}" stop >/dev/null
}
# The archiver in the background.
begin() {
    HQ_TEST_CONNINFO=$(conninfo) "$tool" run "$place" >"$scratch/out" 2>&1 &
    archiver=$!
}
end() {
    kill -TERM $archiver
    wait $archiver || fail "the archiver ended with $?"
    archiver=0
}
fact() {
    awk -v n="$1" '$1 == n {print $2}' "${2:-$place/position}" 2>/dev/null
}
lsn_number() {
    sql -c "SELECT pg_wal_lsn_diff('$1', '0/0')"
}
flush_lsn() {
    sql -c "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')"
}
# await LSN: until so much is durable.
await() {
    for _ in $(seq 300); do
        [ "$(fact durable)" -ge "$1" ] 2>/dev/null && return 0
        kill -0 $archiver 2>/dev/null || fail "the archiver is gone while $1 is awaited"
        sleep 0.1
    done
    fail "durable is $(fact durable), not $1"
}
# await_text TEXT: in what the archiver says.
await_text() {
    for _ in $(seq 100); do
        ! grep -q -- "$1" "$scratch/out" || return 0
        sleep 0.1
    done
    fail "the archiver does not say \"$1\""
}
# verify [AT_LEAST [WALDIR]]: what is stored is what the server has, from the first byte to AT_LEAST.
verify() {
    "$tool" verify "$place" "${2:-$data/pg_wal}" >"$scratch/verify" || fail "$(cat "$scratch/verify")"
    [ "$(fact reached "$scratch/verify")" -ge "${1:-0}" ] ||
        fail "stored up to $(fact reached "$scratch/verify") only, not $1"
}
# It says so, stores nothing, and goes on asking: the next one to answer may be the right one.
refuses() {
    await_text "$1"
    kill -0 $archiver || fail "it gave up"
    end
}
write_some() {
    sql -c "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, ${1:-2000}) g" >/dev/null
}
reset_place() {
    sql -c "SELECT pg_drop_replication_slot('hq_backup') FROM pg_replication_slots
            WHERE slot_name = 'hq_backup'" >/dev/null
    rm -rf "$place"
    mkdir "$place"
    "$tool" init "$place"
}

export HQ_TEST_SEGMENT=1048576
make_cluster "$data"
start
mkdir "$place"
"$tool" init "$place"
sql -c "CREATE TABLE t (a int, b text)"

# 1. From nothing to stop; commit times are those pg_waldump finds.
begin
write_some 20000
sql -c "BEGIN; INSERT INTO t VALUES (1, 'a'); ROLLBACK"
sql -c "BEGIN; INSERT INTO t VALUES (2, 'b'); SAVEPOINT s; INSERT INTO t VALUES (3, 'c'); COMMIT"
sql -c "DROP TABLE IF EXISTS u; CREATE TABLE u AS SELECT * FROM t" -c "TRUNCATE u"
"$tools/pgbench" -i -s 2 -q -h "$scratch" -p "$port" -U postgres postgres >/dev/null 2>&1
"$tools/pgbench" -n -c 4 -t 2000 -h "$scratch" -p "$port" -U postgres postgres >/dev/null 2>&1
await "$(flush_lsn)"
lsn=$(flush_lsn)
sleep 0.2
last=$(sql -c "SELECT (extract(epoch FROM timestamp) * 1000000)::bigint FROM pg_last_committed_xact()")
[ "$(fact commit)" = "$last" ] || fail "the last commit is of $(fact commit), not $last"
end
verify "$lsn"
[ "$(fact segments "$scratch/verify")" -ge 10 ] || fail "only $(fact segments "$scratch/verify") segments"
ok "$(fact segments "$scratch/verify") segments and $(fact parts "$scratch/verify") parts equal the server's"

dump_commits() {
    "$bin/pg_waldump" -r Transaction "$1" "$2" 2>/dev/null |
        sed -nE 's/.* lsn: ([0-9A-F]+\/[0-9A-F]+),.* desc: (COMMIT|ABORT)[A-Z_]* .*([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+) UTC.*/\1 \3/p'
}
if [ -x "$bin/pg_waldump" ]; then
    cd "$data/pg_wal"
    segments=$(ls | grep -E '^[0-9A-F]{24}$' | sort | head -n "$(fact segments "$scratch/verify")")
    TZ=UTC dump_commits "$(head -1 <<<"$segments")" "$(tail -1 <<<"$segments")" |
        sed -E 's/(\.[0-9]*[1-9])0+$/\1/; s/\.0+$//' >"$scratch/expected"
    "$tool" scan $segments | sed -E 's/T/ /; s/Z$//; s/(\.[0-9]*[1-9])0+$/\1/' >"$scratch/found"
    cd - >/dev/null
    [ "$(wc -l <"$scratch/expected")" -ge 1000 ] || fail "pg_waldump found $(wc -l <"$scratch/expected") commits"
    diff "$scratch/expected" "$scratch/found" >"$scratch/diff" || fail "commits: $(head -5 "$scratch/diff")"
    ok "$(wc -l <"$scratch/found") commits and aborts as pg_waldump has them"
fi

# 2. kill -9 at any time, while much is written; nothing is lost, nothing has a hole.
"$tools/pgbench" -n -c 2 -T $((2 * ${HQ_TEST_ROUNDS:-6})) -h "$scratch" -p "$port" -U postgres postgres >/dev/null 2>&1 &
load=$!
for _ in $(seq "${HQ_TEST_ROUNDS:-6}"); do
    begin
    sleep "0.$((RANDOM % 9 + 1))"
    sleep 0.7
    durable=$(fact durable)
    kill -9 $archiver
    wait $archiver 2>/dev/null || true
    archiver=0
    verify "${durable:-0}"
done
begin
wait $load
await "$(flush_lsn)"
lsn=$(flush_lsn)
end
verify "$lsn"
ok "killed ${HQ_TEST_ROUNDS:-6} times at random, stored up to the end without a hole"

# 3. The same at every labelled point.
export HQ_TEST_FLUSH_MS=100
reset_place
HQ_CRASH_LIST=$scratch/labels begin
for _ in $(seq 80); do
    write_some 1 # many small parts, so that they are joined
    sleep 0.12
done
write_some 20000
await "$(flush_lsn)"
sleep 1
end
verify "$(flush_lsn)"
[ "$(fact superseded "$scratch/verify")" = 0 ] || fail "parts of complete segments are left"
labels=$(grep '^wal\.' "$scratch/labels" | sort)
[ "$(wc -l <<<"$labels")" -ge 12 ] || fail "labels: $labels"
ok "more than 64 parts of a segment are joined, and superseded ones deleted"
for label in $labels; do
    for n in 1 4; do
        HQ_CRASH_POINT=$label:$n begin
        for _ in $(seq 60); do
            kill -0 $archiver 2>/dev/null || break
            write_some 500
            sleep 0.05
        done
        ! kill -0 $archiver 2>/dev/null || fail "$label:$n is not passed"
        wait $archiver 2>/dev/null || true
        archiver=0
        verify "$(fact durable)"
    done
done
begin
write_some 5000
await "$(flush_lsn)"
sleep 1
lsn=$(flush_lsn)
end
verify "$lsn"
[ "$(fact superseded "$scratch/verify")" = 0 ] || fail "parts of complete segments are left"
[ "$(ls "$place/spool" | wc -l)" -le 1 ] || fail "spool files are left: $(ls "$place/spool")"
ok "killed at $(wc -l <<<"$labels") labels, twice each"
unset HQ_TEST_FLUSH_MS

# 4. With a synchronous standby's name a commit returns when it is in the repository.
sql -c "ALTER SYSTEM SET synchronous_standby_names = 'archiver'" -c "SELECT pg_reload_conf()" >/dev/null
begin
began=$(date +%s%N)
for _ in 1 2 3 4 5; do
    write_some 10
    lsn=$(sql -c "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')")
    kill -STOP $archiver
    verify 0
    [ "$(fact reached "$scratch/verify")" -ge $((lsn - 2000)) ] || fail "committed at $lsn, stored $(fact reached "$scratch/verify")"
    kill -CONT $archiver
done
ok "synchronous commits wait for the repository ($((($(date +%s%N) - began) / 5000000)) ms each)"
# A fast shutdown waits for the archiver, and the archiver for nobody.
write_some 2000
stop
verify 0
start
last=$(lsn_number "$(sql -c 'SELECT checkpoint_lsn FROM pg_control_checkpoint()')")
sql -c "ALTER SYSTEM RESET synchronous_standby_names" -c "SELECT pg_reload_conf()" >/dev/null
[ "$(fact reached "$scratch/verify")" -gt "$last" ] || fail "stored $(fact reached "$scratch/verify"), shut down at $last"
ok "at a clean shutdown all is in the repository"
await "$(flush_lsn)"
# The server dies and stays away: what was received is stored all the same.
write_some 3000
sleep 0.02
received=$(fact received)
stop "$data" immediate
sleep 1
verify "${received:-0}"
start
await "$(flush_lsn)"
end
verify "$(flush_lsn)"
ok "after a crash of the server it goes on"

# 5. No room in the store, then none for the spool; nothing is acknowledged meanwhile.
small=$scratch/small
mkdir "$small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=2m tmpfs "$small" 2>/dev/null; then
    mv "$place" "$scratch/place-before"
    mkdir "$place" "$small/repository"
    ln -s "$small/repository" "$place/repository"
    sql -c "SELECT pg_drop_replication_slot('hq_backup')" >/dev/null
    "$tool" init "$place"
    begin
    write_some 100
    await "$(flush_lsn)"
    head -c 4m /dev/zero >"$small/filler" 2>/dev/null || true
    before=$(fact durable)
    write_some 3000
    await_text "WAL can't be stored"
    sleep 0.5
    told=$(sql -c "SELECT pg_wal_lsn_diff(flush_lsn, '0/0') FROM pg_stat_replication")
    [ "$told" = "$(fact durable)" ] || fail "told $told, stored $(fact durable)"
    [ "$told" -lt "$(flush_lsn)" ] || fail "told more than there is room for"
    # The server is lost while the store is full: the spool has what nobody else may have.
    received=$(fact received)
    stop "$data" immediate
    sleep 1
    rm "$small/filler"
    for _ in $(seq 100); do
        [ "$(fact durable)" -ge "$received" ] && break
        sleep 0.1
    done
    verify "$received"
    start
    write_some 100
    await "$(flush_lsn)"
    end
    verify "$before"
    ok "a full store is waited for, and what was received outlives its server"

    # Commits that count on the spool alone: they return while the store is full, and outlive both
    # the server and the archiver.
    fill() {
        head -c 4m /dev/zero >"$small/filler" 2>/dev/null || true
    }
    fill
    sql -c "ALTER SYSTEM SET synchronous_standby_names = 'archiver'" -c "SELECT pg_reload_conf()" >/dev/null
    HQ_TEST_DURABLE_SPOOL=1 begin
    before=$(fact durable)
    for _ in 1 2 3 4 5; do
        sql -c "SET statement_timeout = '30s'" -c "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 3000) g" ||
            fail "a commit waits for a store that is full"
    done
    lsn=$(lsn_number "$(sql -c 'SELECT flush_lsn FROM pg_stat_replication')")
    [ "$lsn" -gt "$((before + 1000000))" ] || fail "only $lsn is flushed"
    [ "$(fact durable)" -lt "$lsn" ] || fail "the store was not full"
    kill -9 $archiver
    wait $archiver 2>/dev/null || true
    archiver=0
    stop "$data" immediate
    rm "$small/filler"
    HQ_TEST_DURABLE_SPOOL=1 begin
    await "$lsn"
    verify "$lsn"
    start
    sql -c "ALTER SYSTEM RESET synchronous_standby_names" -c "SELECT pg_reload_conf()" >/dev/null
    await "$(flush_lsn)"
    end
    verify "$(flush_lsn)"
    ok "commits that wait for the spool survive server, archiver and a full store"

    # The spool has its limit; beyond it WAL stays on the server, and all of it arrives in the end.
    fill
    HQ_TEST_SPOOL_MIB=4 begin
    write_some 60000
    await_text "the spool is full"
    sleep 0.5
    [ "$(fact spool)" -le $((5 << 20)) ] || fail "the spool holds $(fact spool) bytes"
    [ "$(fact received)" -lt "$(flush_lsn)" ] || fail "all was received"
    kill -9 $archiver
    wait $archiver 2>/dev/null || true
    # A file of it is damaged meanwhile: what it had is received again.
    damaged=$(ls "$place"/spool/*.spool | sed -n 2p)
    printf damage | dd of="$damaged" bs=1 seek=100000 conv=notrunc status=none
    mount -o remount,size=40m "$small"
    HQ_TEST_SPOOL_MIB=4 begin
    await "$(flush_lsn)"
    end
    verify "$(flush_lsn)"
    ok "a spool at its limit, and a damaged one, lose nothing"

    rm -rf "$place" "$small"/*
    mv "$scratch/place-before" "$place"
    sql -c "SELECT pg_drop_replication_slot('hq_backup')" >/dev/null
    mount -o remount,size=600k "$small"
    HQ_TEST_SPOOL=$small begin
    write_some 20000
    await_text NO_SPACE
    mount -o remount,size=20m "$small"
    await "$(flush_lsn)"
    lsn=$(flush_lsn)
    end
    umount "$small"
    verify "$lsn"
    ok "a full spool is told, and goes on when there is room"
fi

# 7. A standby is promoted; what its archiver stores follows the first server's.
mkdir "$scratch/wal"
cp "$data"/pg_wal/[0-9]* "$scratch/wal/"
stop
cp -a "$data" "$scratch/data-old"
cp -a "$data" "$scratch/data2"
"${as[@]}" touch "$scratch/data2/standby.signal"
start "$scratch/data2"
begin
sleep 1
"${as[@]}" "$bin/pg_ctl" -D "$scratch/data2" -w promote >/dev/null
write_some 5000
await "$(flush_lsn)"
[ "$(fact timeline)" = 2 ] || fail "timeline $(fact timeline)"
lsn=$(flush_lsn)
end
cp "$scratch"/data2/pg_wal/[0-9]* "$scratch/wal/"
verify "$lsn" "$scratch/wal"
[ "$(fact histories "$scratch/verify")" = 1 ] || fail "no history file"
[ "$(fact timeline "$scratch/verify")" = 2 ] || fail "nothing of timeline 2"
ok "a promotion is followed, with its history"
# Another branch from the first timeline, as a second recovery makes it: timeline 3.
stop "$scratch/data2"
cp -a "$scratch/data-old" "$scratch/data3"
"${as[@]}" cp "$scratch/data2/pg_wal/00000002.history" "$scratch/data3/pg_wal/"
cat >>"$scratch/data3/postgresql.conf" <<C
restore_command = 'false'
recovery_target_timeline = 'current'
C
"${as[@]}" touch "$scratch/data3/recovery.signal"
start "$scratch/data3"
for _ in $(seq 50); do
    [ "$(sql -c 'SELECT pg_is_in_recovery()')" = f ] && break
    sleep 0.1
done
begin
write_some 3000
for _ in $(seq 100); do
    # What the spool still has of timeline 2 is stored first.
    [ "$(fact timeline)" != 3 ] || break
    sleep 0.1
done
[ "$(fact timeline)" = 3 ] || fail "timeline $(fact timeline)"
await "$(flush_lsn)"
end
cp "$scratch"/data3/pg_wal/[0-9]* "$scratch/wal/"
verify 0 "$scratch/wal"
[ "$(fact timeline "$scratch/verify")" = 3 ] || fail "nothing of timeline 3"
ok "a second recovery from the same past is followed"
stop "$scratch/data3"

# 8. What must be refused.
start "$scratch/data-old"
begin
refuses "code=REFUSED.*present"
ok "a former primary is refused"
stop "$scratch/data-old"
start "$scratch/data3"
"${as[@]}" "$bin/pg_ctl" -D "$scratch/data3" -w -m immediate stop >/dev/null
rm -rf "$scratch/data4"
cp -a "$scratch/data3" "$scratch/data4"
start "$scratch/data3"
begin
write_some 30000
await "$(flush_lsn)"
end
stop "$scratch/data3"
start "$scratch/data4"
begin
refuses "code=REFUSED.*in time"
ok "a server put back in time is refused"
stop "$scratch/data4"
make_cluster "$scratch/data5"
start "$scratch/data5"
begin
refuses "code=REFUSED.*in this repository is system"
ok "another system under the same name is refused"
sql -c "CREATE TABLE t (a int, b text)"

# 9. WAL that the server has removed is missing, and said to be.
reset_place
data=$scratch/data5
begin
write_some 1000
await "$(flush_lsn)"
end
sql -c "SELECT pg_drop_replication_slot('hq_backup')" -c "ALTER SYSTEM SET wal_keep_size = 0" \
    -c "ALTER SYSTEM SET max_wal_size = '4MB'" -c "ALTER SYSTEM SET min_wal_size = '2MB'" -c "SELECT pg_reload_conf()" >/dev/null
for _ in 1 2 3; do
    write_some 20000
    sql -c CHECKPOINT
done
begin
write_some 100
await "$(flush_lsn)"
await_text "WAL is lost"
[ "$(fact gaps)" = 1 ] || fail "$(fact gaps) gaps, not one"
write_some 20000
await "$(flush_lsn)"
end
begin
write_some 100
await "$(flush_lsn)"
[ "$(fact gaps)" = 0 ] || fail "the gap is found again"
end
ok "removed WAL is told, once, and archiving goes on behind the gap"
stop "$data"

# 10. Segments of the usual size.
export HQ_TEST_SEGMENT=$((16 << 20))
data=$scratch/data6
make_cluster "$data" 16
start
sql -c "CREATE TABLE t (a int, b text)"
reset_place
begin
write_some 200000
sql -c "SELECT pg_switch_wal()" >/dev/null
write_some 100
await "$(flush_lsn)"
durable=$(fact durable)
kill -9 $archiver
wait $archiver 2>/dev/null || true
begin
write_some 100
await "$(flush_lsn)"
lsn=$(flush_lsn)
end
verify "$lsn"
ok "segments of 16 MiB, one of them switched early"
echo "puts $(fact puts), longest delay $(fact delay_max) us"
