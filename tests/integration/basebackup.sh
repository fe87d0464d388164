#!/bin/bash
# Takes base backups of a real PostgreSQL through the replication protocol and compares them with
# the cluster: basebackup.sh PATH/basebackup_test. HQ_TEST_PGBIN names another server's programs.
set -euo pipefail

tool=$1
bin=${HQ_TEST_PGBIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
[ -x "$bin/initdb" ] && command -v psql >/dev/null || { echo "no PostgreSQL here"; exit 77; }

export LC_ALL=C.UTF-8
scratch=$(mktemp -d)
data=$scratch/data
port=$((20000 + RANDOM % 20000))
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { echo "no user postgres"; exit 77; }
    chown postgres "$scratch"
    as=(setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups)
else
    as=()
fi

finish() {
    status=$?
    "${as[@]}" "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
    "${as[@]}" "$bin/pg_ctl" -D "$scratch/copy" -m immediate stop >/dev/null 2>&1 || true
    if [ $status -ne 0 ]; then
        echo "--- failed ($status), server log:"
        tail -30 "$scratch/log" 2>/dev/null || true
    fi
    rm -rf "$scratch"
    exit $status
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}
sql() {
    psql -X -h "$scratch" -p "$port" -U postgres -d postgres -v ON_ERROR_STOP=1 -Atq "$@"
}
start() {
    "${as[@]}" "$bin/pg_ctl" -D "$data" -l "$scratch/log" -w -o "-p $port" start >/dev/null
}
# expect TEXT PATTERN
expect() {
    grep -Eq -- "$2" <<<"$1" || fail "no \"$2\" in: $1"
}
export HQ_TEST_CONNINFO="host=$scratch port=$port user=postgres"
run() {
    "$tool" "$@" || true
}

"${as[@]}" "$bin/initdb" -D "$data" -U postgres -A trust -N -k >/dev/null
cat >>"$data/postgresql.conf" <<E
unix_socket_directories = '$scratch'
listen_addresses = '127.0.0.1'
fsync = off
autovacuum = off
max_wal_senders = 4
max_replication_slots = 2
wal_keep_size = '256MB'
lc_messages = 'C'
E
start
"${as[@]}" mkdir "$scratch/space"
sql -c "CREATE TABLESPACE fast LOCATION '$scratch/space'" \
    -c "CREATE TABLE plain AS SELECT n, repeat('x', 100) AS t FROM generate_series(1, 50000) n" \
    -c "CREATE INDEX ON plain (n)" \
    -c "CREATE TABLE apart (n int) TABLESPACE fast" \
    -c "INSERT INTO apart SELECT generate_series(1, 20000)" \
    -c "CREATE UNLOGGED TABLE fleeting (n int PRIMARY KEY)" \
    -c "INSERT INTO fleeting SELECT generate_series(1, 100)"
database=$(sql -c "SELECT oid FROM pg_database WHERE datname = 'postgres'")
space=$(sql -c "SELECT oid FROM pg_tablespace WHERE spcname = 'fast'")
# Names and sizes that PostgreSQL would not choose: bytes that are no UTF-8, the longest name a tar
# header takes, a relation's name on a file that is not of whole pages, an empty file.
odd=$(printf 'caf\351 \303\274 file')
long=$(printf 'n%.0s' $(seq 1 99))
"${as[@]}" bash -c "cd '$data' && echo odd >'$odd' && echo long >'$long' && : >empty &&
    head -c 100 /dev/zero >base/$database/4000000000"

echo "== identify, show, history, slot"
out=$(run identify)
expect "$out" "^block_size 8192$"
expect "$out" "^wal_segment_size 16777216$"
expect "$out" "^checksums 1$"
expect "$out" "^host $scratch:$port$"
expect "$out" "^system $(sql -c 'SELECT system_identifier FROM pg_control_system()')$"
expect "$(run show wal_level)" "^show replica$"
expect "$(run show no_such_setting)" "^error MISSING "
expect "$(run show 'wal_level; SELECT 1')" "^error USAGE "
expect "$(run slot hq_one)" "^slot created$"
expect "$(run slot hq_one)" "^slot there$"
expect "$(run slot 'Wrong name')" "^error USAGE "
expect "$(run slot hq_two)" "^slot created$"
expect "$(run slot hq_three)" "^error SERVER .*53400"
expect "$(run slot hq_three)" "^hint .*max_replication_slots = "
held="SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND restart_lsn > '0/0'"
[ "$(sql -c "$held")" = 2 ] || fail "slots do not hold WAL"
expect "$(run history 7)" "^error MISSING "

echo "== backup"
mkdir "$scratch/copy"
out=$(LC_ALL=C run backup "$scratch/copy")
expect "$out" "^mode stream$"
expect "$out" "^timeline 1$"
expect "$out" "^link pg_tblspc/$space $scratch/space$"
expect "$out" "^tablespace $space $scratch/space$"
expect "$out" "^plain base/$database/4000000000$"
! grep -q "^damaged" <<<"$out" || fail "damage where there is none: $out"
[ "$(grep -c "^link" <<<"$out")" = 1 ] || fail "links: $out"
expect "$(cat "$scratch/copy/backup_label")" "^LABEL: it's a test$"
lsn=$(sed -n 's/^start \([^/]*\)\/0*/\1\/0*/p' <<<"$out")
expect "$(cat "$scratch/copy/backup_label")" "^START WAL LOCATION: $lsn "
expect "$(cat "$scratch/copy/tablespace_map")" "^$space $scratch/space$"

echo "== the copy against the stopped cluster"
"${as[@]}" "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
# Left out by the server, or written again when it stopped.
skip="^\./(postmaster\.(pid|opts)|backup_label|tablespace_map|current_logfiles|pg_wal/.*|pg_replslot/.*"
skip+="|pg_stat/.*|pg_stat_tmp/.*|pg_subtrans/.*|pg_notify/.*|pg_serial/.*|pg_snapshots/.*"
skip+="|pg_dynshmem/.*|pg_logical/replorigin_checkpoint|global/pg_control|.*/pg_internal\.init.*"
skip+="|.*\.lock)$"
mapfile -t unlogged < <(cd "$data/base/$database" && ls | sed -n 's/_init$//p')
[ ${#unlogged[@]} = 2 ] || fail "not two unlogged relations: ${unlogged[*]}"
skip_unlogged="^\./base/$database/(${unlogged[0]}|${unlogged[1]})(_fsm|_vm)?$"
digest() {
    (cd "$1" && find -L . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum --zero |
        tr '\0' '\n' | while read -r sum name; do printf '%s %s\n' "$name" "$sum"; done) |
        LC_ALL=C grep -aEv "${skip%?}( |$)" | LC_ALL=C grep -aEv "${skip_unlogged%?} "
}
modes() {
    (cd "$1" && find -L . -mindepth 1 \( -type d -o -name PG_VERSION \) -printf '%p %m\n' |
        grep -Ev '^\./(pg_replslot/.*|pg_tblspc/[0-9]+) ' | LC_ALL=C sort)
}
digest "$data" >"$scratch/want"
digest "$scratch/copy" >"$scratch/got"
[ "$(wc -l <"$scratch/want")" -gt 900 ] || fail "nothing to compare"
grep -aq "$long" "$scratch/got" && LC_ALL=C grep -aq "$odd" "$scratch/got" || fail "odd names"
diff -a "$scratch/want" "$scratch/got" || fail "files differ"
diff <(modes "$data") <(modes "$scratch/copy") || fail "directories differ"
for name in "${unlogged[@]}"; do
    [ ! -e "$scratch/copy/base/$database/$name" ] || fail "main fork of an unlogged relation copied"
    [ -e "$scratch/copy/base/$database/${name}_init" ] || fail "init fork missing"
done
wal=$(ls -A "$scratch/copy/pg_wal" | grep -Ev '^(archive_status|summaries)$' || true)
[ -z "$wal" ] || fail "WAL in the copy: $wal"

echo "== the copy starts"
for file in "$data"/pg_wal/0*; do cp "$file" "$scratch/copy/pg_wal/"; done
chmod 700 "$scratch/copy"
[ ${#as[@]} = 0 ] || chown -R postgres "$scratch/copy"
# The restore of this test: the tablespace's folder in its place, and no map to another.
"${as[@]}" mv "$scratch/copy/pg_tblspc/$space" "$scratch/space_copy"
"${as[@]}" ln -s "$scratch/space_copy" "$scratch/copy/pg_tblspc/$space"
rm "$scratch/copy/tablespace_map"
"${as[@]}" "$bin/pg_ctl" -D "$scratch/copy" -l "$scratch/log" -w -o "-p $port" start >/dev/null
[ "$(sql -c "SELECT count(*) || ' ' || sum(n) FROM plain")" = "50000 1250025000" ] || fail "plain"
[ "$(sql -c "SELECT count(*) FROM apart")" = 20000 ] || fail "apart"
[ "$(sql -c "SELECT count(*) FROM fleeting")" = 0 ] || fail "fleeting"
"${as[@]}" "$bin/pg_ctl" -D "$scratch/copy" -m fast -w stop >/dev/null

echo "== damaged pages are named"
path=$(
    start
    sql -c "SELECT pg_relation_filepath('plain')"
)
"${as[@]}" "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
printf 'damage' |
    "${as[@]}" dd of="$data/$path" bs=1 seek=$((5 * 8192 + 4000)) conv=notrunc status=none
start
rm -rf "$scratch/copy" && mkdir "$scratch/copy"
out=$(run backup "$scratch/copy" 2>"$scratch/messages")
expect "$out" "^damaged $path 5$"
[ "$(grep -c "^damaged" <<<"$out")" = 1 ] || fail "damaged: $out"
expect "$out" "^stop "
expect "$(cat "$scratch/messages")" "damaged pages"

echo "== a cut connection, a stop, a server that hangs"
backup_slowly() {
    rm -rf "$scratch/copy" && mkdir "$scratch/copy"
    HQ_TEST_SLOW_US=2000 "$tool" backup "$scratch/copy" >"$scratch/out" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        [ -e "$scratch/copy/base" ] && return
        sleep 0.1
    done
    fail "the backup does not begin"
}
backup_slowly
sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_replication" >/dev/null
wait $pid && fail "a cut backup succeeded"
expect "$(cat "$scratch/out")" "^error TRANSIENT base backup: "
backup_slowly
kill -TERM $pid
wait $pid && fail "a stopped backup succeeded"
expect "$(cat "$scratch/out")" "^error INTERRUPTED "
backup_slowly
sender=$(sql -c "SELECT pid FROM pg_stat_replication")
kill -STOP "$sender"
sleep 3
kill -0 $pid || fail "gave up on a slow server: $(cat "$scratch/out")"
kill -TERM $pid
for _ in $(seq 20); do
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
kill -0 $pid 2>/dev/null && fail "still there 2 s after the signal"
kill -CONT "$sender"
expect "$(cat "$scratch/out")" "^error INTERRUPTED "

echo "== refusals and their hints"
sql -c "CREATE ROLE plain_role LOGIN" -c "CREATE ROLE backup LOGIN REPLICATION PASSWORD 'right'" \
    -c "CREATE ROLE \"Odd \"\"role\" LOGIN REPLICATION"
cat >"$scratch/hba" <<'E'
local all postgres trust
local replication plain_role trust
local replication postgres trust
local replication backup scram-sha-256
host all postgres 127.0.0.1/32 trust
E
"${as[@]}" cp "$scratch/hba" "$data/pg_hba.conf"
sql -c "SELECT pg_reload_conf()" >/dev/null
sleep 0.5
as_role() {
    HQ_TEST_CONNINFO="host=$1 port=$port user='$2' $3" run identify
}
out=$(as_role "$scratch" plain_role "")
expect "$out" "^error REFUSED .*42501"
expect "$out" "^hint ALTER ROLE plain_role REPLICATION$"
out=$(as_role 127.0.0.1 backup "")
expect "$out" "^error SERVER .*28000"
expect "$out" "^hint .*\`host replication backup 127.0.0.1/32 scram-sha-256\`"
out=$(as_role "$scratch" 'Odd "role' "")
expect "$out" '^hint .*`local replication "Odd ""role" scram-sha-256`'
out=$(as_role "$scratch" backup "")
expect "$out" "^error REFUSED "
expect "$out" "^hint .*password file"
printf 'wrong\n' >"$scratch/password"
chmod 600 "$scratch/password"
export HQ_TEST_PASSWORD_FILE=$scratch/password
expect "$(as_role "$scratch" backup "")" "^error REFUSED .*28P01"
printf 'right\n' >"$scratch/password"
expect "$(as_role "$scratch" backup "")" "^system [0-9]+$"
chmod 644 "$scratch/password"
expect "$(as_role "$scratch" backup "")" "^error REFUSED password file"
chmod 600 "$scratch/password"
: >"$scratch/password"
expect "$(as_role "$scratch" backup "")" "^error CONFIG "
unset HQ_TEST_PASSWORD_FILE
out=$(as_role "$scratch" backup "password=in_the_open")
expect "$out" "^error CONFIG .*holds a password"
! grep -q in_the_open <<<"$out" || fail "a secret in the message: $out"
expect "$(as_role "$scratch" postgres "nonsense=1")" "^error CONFIG "
expect "$(as_role "$scratch/nowhere" postgres "")" "^error TRANSIENT "
expect "$(HQ_TEST_CONNINFO="host=127.0.0.1 port=1 user=postgres" run identify)" "^error TRANSIENT "
# The first host refuses, the second is there.
two="host=127.0.0.1,$scratch port=1,$port user=postgres"
expect "$(HQ_TEST_CONNINFO=$two run identify)" "^system "

echo "== settings that are missing"
"${as[@]}" "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
rm -rf "$data"/pg_replslot/*
cat >>"$data/postgresql.conf" <<E
wal_level = minimal
max_wal_senders = 0
E
start
out=$(run identify)
expect "$out" "^error SERVER .*53300"
expect "$out" "^hint .*max_wal_senders = .*wal_level = replica"
echo "passed: $("$bin/postgres" --version)"
