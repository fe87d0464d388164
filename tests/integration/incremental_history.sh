#!/bin/bash
# Backups that take pages from the last one, and a cluster whose history takes turns: a promotion, a
# branch that is abandoned, pg_rewind, a restored cluster that goes on, pages written while they are
# read. What is restored is compared with the server each time.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/incremental_lib.sh"
load=
at_end() { [ -z "$load" ] || kill -9 "$load" 2>/dev/null; }

connect_to() { sed -i "s|^  connection: .*|  connection: \"host=$scratch port=${port_of[$1]} user=postgres\"|" "$config"; }
rows() { sql "$1" -c "SELECT count(*), sum(a), md5(string_agg(b, '' ORDER BY a, b)) FROM t"; }
# write_until PG LSN: rows into a table aside, until the server's WAL is there
write_until() {
    local tries
    for tries in $(seq 50); do
        wal_reaches "$1" "$2" && return
        sql "$1" -c "INSERT INTO aside (pad) SELECT repeat('x', 500) FROM generate_series(1, 20000)" || break
    done
    not_ok "$1 writes WAL up to $2"
    exit 1
}
wal_reaches() { [ "$(sql "$1" -c "SELECT pg_current_wal_flush_lsn() > '$2'::pg_lsn")" = t ]; }
# follow NAME PRIMARY: NAME is a standby of PRIMARY from now on
follow() {
    printf "port = %s\nprimary_conninfo = 'host=%s port=%s user=postgres application_name=%s'\nrecovery_target_timeline = latest\n" \
        "${port_of[$1]}" "$scratch" "${port_of[$2]}" "$1" >>"$scratch/$1/postgresql.auto.conf"
    as touch "$scratch/$1/standby.signal"
    pg_start "$1"
    wait_for 30 "the standby" in_step "$2" "$1"
}
in_step() { [ "$(sql "$1" -c "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$2' AND replay_lsn >= pg_current_wal_flush_lsn()")" = 1 ]; }
# The last range that is listed may be an abandoned branch's.
newest_range() { restore points --cluster "$cluster" --json | python3 -c "
import json, sys
ranges = json.load(sys.stdin)['clusters'][0]['ranges']
print(max(ranges, key=lambda r: r['timeline'])['$1'])"; }
reaches() { newest_range to_lsn; }
promote() { must sql "$1" -c "SELECT pg_promote(true, 30)"; }

pg_init a
cat >>"$scratch/a/postgresql.conf" <<CONF
autovacuum = off
bgwriter_lru_maxpages = 0
wal_keep_size = 1GB
CONF
pg_stop a fast; pg_start a
sql a -c "CREATE TABLE t AS SELECT g AS a, repeat(md5(g::text), 5) AS b FROM generate_series(1, 20000) g" \
    -c "CREATE INDEX t_a ON t (a)" -c "CREATE TABLE aside (n bigserial, pad text)"
must as "$pg_bin/pg_basebackup" -h "$scratch" -p "${port_of[a]}" -U postgres -D "$scratch/b" -c fast
port_of[b]=$next_port
next_port=$((next_port + 1))
follow b a
hq_init
hq_config a </dev/null
sleep 3.5
still a; take
compare "the first backup is the server" a

echo "== a branch that was abandoned"
promote b
sql a -c "UPDATE t SET b = 'abandoned' WHERE a <= 10000"
still a; take
check "the former primary's backup takes pages from the one before" inherited 100
abandoned=$(sql a -c "SELECT pg_current_wal_flush_lsn()")
write_until b "$abandoned"
connect_to b
still b; take
said "a page of another branch is not believed" 'reaches into a timeline that was abandoned'
same "none is taken over" 0 "$(json_number inherited_pages)"
compare "the promoted server is the server" b
sql b -c "UPDATE t SET b = 'on the new timeline' WHERE a % 100 = 0"
still b; take
check "on the new timeline pages are taken over again" inherited 100
compare "... and are the server's" b

echo "== pg_rewind"
daemon_start
catch_up b
pg_stop a fast
check "pg_rewind" as "$pg_bin/pg_rewind" -D "$scratch/a" --source-server "host=$scratch port=${port_of[b]} user=postgres dbname=postgres"
echo "port = ${port_of[a]}" >>"$scratch/a/postgresql.auto.conf"
follow a b
sql b -c "UPDATE t SET b = 'before the switch' WHERE a % 90 = 0"
wait_for 30 "the standby" in_step b a
catch_up b
daemon_stop
pg_stop b fast
promote a
sql a -c "UPDATE t SET b = 'after the switch' WHERE a % 80 = 0"
connect_to a
daemon_start
catch_up a
take
rows a >"$scratch/rows"
restore_copy "the member that came back" --latest && sound "the member that came back"
pg_start copy && same "... its rows" "$(cat "$scratch/rows")" "$(rows copy)"
drop_restored copy
daemon_stop

echo "== a restored cluster goes on"
check "a cluster to go on with" restore pg --cluster "$cluster" --backup "$(newest_range first_backup)" --immediate --to "$scratch/c"
start_restored c || exit 1
sql c -c "UPDATE t SET b = 'restored' WHERE a % 70 = 0"
write_until c "$(sql a -c 'SELECT pg_current_wal_flush_lsn()')"
connect_to c
still c; take
said "... is another branch to the last backup" 'reaches into a timeline that was abandoned'
compare "the restored server is the server" c

echo "== pages that are written while they are read"
daemon_start
catch_up c
(while :; do
    sql c -c "UPDATE t SET b = md5(b || random()) WHERE a % 37 = floor(random() * 37)" -c "INSERT INTO t SELECT 20001 + random() * 10000, 'more' FROM generate_series(1, 50)" -c CHECKPOINT
done) >/dev/null 2>&1 &
load=$!
for _ in 1 2 3; do take; done
check "under load pages are taken over too" inherited 1
kill "$load"; wait "$load" 2>/dev/null; load=
wait_for 20 "the end of the load" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[c]} -U postgres -d postgres -c \"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid()\")\" = 0 ]"
rows c >"$scratch/rows"
catch_up c
restore_copy "the last of three backups under load" --latest && sound "the last of three backups under load"
pg_start copy && same "... its rows" "$(cat "$scratch/rows")" "$(rows copy)"
exit 0
