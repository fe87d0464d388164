#!/bin/bash
# Which blocks WAL changed, found by walblocks_tool, compared with the pages that differ between two
# copies of the data directory (14 to 18), with pg_waldump (15), with pg_walinspect (16 to 18) and with
# PostgreSQL's own summaries (17, 18): `bash walsummary.sh [VERSION...]`, some 15 s each.
. "$(dirname "$0")/each_version.sh" 180 "14 15 16 17 18" "$@"
. "$(dirname "$0")/lib.sh"
v=$HQ_VERSION
here=$(cd "$(dirname "$0")" && pwd)
tool=$build/../tests/walblocks_tool
declare -A segment_mib=([14]=1 [15]=16 [16]=1 [17]=2 [18]=1)

pg_init data --wal-segsize="${segment_mib[$v]}"
cat >>"$scratch/data/postgresql.conf" <<CONF
max_prepared_transactions = 4
autovacuum = off
max_wal_size = 4GB
min_wal_size = 80MB
wal_keep_size = 4GB
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
CONF
[ "$v" -lt 17 ] || echo "summarize_wal = on" >>"$scratch/data/postgresql.conf"
pg_stop data fast
pg_start data
mkdir "$scratch/fast" "$scratch/slow"
chown "$user" "$scratch/fast" "$scratch/slow"
number() { sql data -c "SELECT $1 - '0/0'::pg_lsn"; }
random() { echo $((RANDOM * 32768 + RANDOM)); }
system=$(sql data -c "SELECT system_identifier FROM pg_control_system()")
segment=$((${segment_mib[$v]} << 20))
seed=${HQ_SEED:-$RANDOM}
echo "# $v: seed $seed"
RANDOM=$seed

sql data <<SQL
CREATE TABLESPACE fast LOCATION '$scratch/fast';
CREATE TABLESPACE slow LOCATION '$scratch/slow';
CREATE EXTENSION bloom;
CREATE TABLE big (n int PRIMARY KEY, v int, t text, j jsonb, p point);
INSERT INTO big SELECT n, n % 1000, repeat(md5(n::text), 3), jsonb_build_object('k', n % 77), point(n % 300, n % 211) FROM generate_series(1, 40000) n;
CREATE INDEX big_v ON big (v);
CREATE TABLE shrinks AS SELECT n, repeat('s', 200) AS pad FROM generate_series(1, 20000) n;
CREATE TABLE full_vacuum AS SELECT n, repeat('f', 200) AS pad FROM generate_series(1, 5000) n;
CREATE TABLE truncated AS SELECT n FROM generate_series(1, 20000) n;
CREATE TABLE dropped AS SELECT n FROM generate_series(1, 5000) n;
CREATE TABLE in_fast TABLESPACE fast AS SELECT n, repeat('x', 300) AS pad FROM generate_series(1, 3000) n;
CREATE UNLOGGED TABLE unlogged (n int PRIMARY KEY);
INSERT INTO unlogged SELECT generate_series(1, 5000);
CREATE SEQUENCE numbers;
CREATE DATABASE pattern;
CREATE DATABASE away TABLESPACE fast;
SQL
# The segment in which the range begins has nothing else that names a block.
sql data -c "VACUUM FREEZE" -c "SELECT pg_switch_wal()" -c "CHECKPOINT" >/dev/null
from=$(number "pg_current_wal_lsn()")
first=$(sql data -c "SELECT pg_walfile_name(pg_current_wal_lsn())")
pg_stop data fast
mkdir "$scratch/before"
cp -rL "$scratch/data/base" "$scratch/data/global" "$scratch/data/pg_tblspc" "$scratch/before/"
pg_start data

# What changes files without naming blocks, with every kind of index and of transaction.
sql data <<SQL
SET wal_compression = on;
UPDATE big SET v = v + 1 WHERE n % $((RANDOM % 50 + 20)) = 0;
CREATE INDEX ON big USING hash (v); CREATE INDEX ON big USING gin (j); CREATE INDEX ON big USING gist (p);
CREATE INDEX ON big USING spgist (p); CREATE INDEX ON big USING brin (n); CREATE INDEX ON big USING bloom (n, v);
RESET wal_compression;
INSERT INTO big SELECT n, n % 1000, repeat(md5(n::text), 3), jsonb_build_object('k', n % 77), point(n % 300, n % 211) FROM generate_series(40001, $((40001 + RANDOM % 4000))) n;
DELETE FROM big WHERE n BETWEEN $((RANDOM % 20000)) AND $((20000 + RANDOM % 9000));
VACUUM big;
REINDEX INDEX big_v;
DELETE FROM shrinks WHERE n > $((RANDOM % 15000));
VACUUM shrinks;
INSERT INTO shrinks SELECT n, 'again' FROM generate_series(1, $((RANDOM % 3000))) n;
VACUUM FULL full_vacuum;
CLUSTER big USING big_pkey;
TRUNCATE truncated;
INSERT INTO truncated SELECT generate_series(1, 500);
DROP TABLE dropped;
SELECT nextval('numbers') FROM generate_series(1, 100) \g /dev/null
BEGIN; INSERT INTO truncated VALUES (1); SAVEPOINT a; CREATE TABLE vanishes AS SELECT generate_series(1, 3000); SAVEPOINT b;
INSERT INTO truncated SELECT generate_series(1, 300); ROLLBACK TO b; RELEASE a; ROLLBACK;
BEGIN; CREATE TABLE prepared AS SELECT n FROM generate_series(1, 2000) n; DROP TABLE in_fast; PREPARE TRANSACTION 'p';
COMMIT PREPARED 'p';
BEGIN; CREATE TABLE given_up AS SELECT n FROM generate_series(1, 2000) n; PREPARE TRANSACTION 'q';
ROLLBACK PREPARED 'q';
ALTER TABLE unlogged SET LOGGED;
CREATE UNLOGGED TABLE unlogged_2 (n int PRIMARY KEY, t text);
ALTER TABLE full_vacuum SET UNLOGGED;
CREATE TABLE moved AS SELECT n, repeat('m', 90) AS pad FROM generate_series(1, 2000) n;
ALTER TABLE moved SET TABLESPACE slow;
ALTER TABLE moved SET TABLESPACE pg_default;
DROP TABLESPACE slow;
COPY (SELECT n, n, repeat('c', 500), NULL::jsonb, NULL::point FROM generate_series(100001, 103000) n) TO '$scratch/data/copy.txt';
COPY big FROM '$scratch/data/copy.txt';
SQL
if [ "$v" = 14 ]; then
    sql data -c "CREATE DATABASE copied TEMPLATE pattern"
else
    sql data -c "CREATE DATABASE copied TEMPLATE pattern STRATEGY file_copy"
    sql data -c "CREATE DATABASE logged TEMPLATE pattern STRATEGY wal_log"
fi
sql data -c "DROP DATABASE away" -c "SELECT pg_switch_wal()" >/dev/null
sql data -c "ALTER DATABASE pattern SET TABLESPACE fast"
db=copied sql data -c "CREATE TABLE here AS SELECT generate_series(1, 1000)"
pgbench -h "$scratch" -p "${port_of[data]}" -U postgres -i -s 2 -q postgres >/dev/null 2>&1
pgbench -h "$scratch" -p "${port_of[data]}" -U postgres -c 4 -T 3 postgres >/dev/null 2>&1 &
load=$!
sleep 2
pg_stop data immediate
wait "$load"
pg_start data
pgbench -h "$scratch" -p "${port_of[data]}" -U postgres -c 2 -t 200 -N postgres >/dev/null 2>&1
sql data -c "SELECT count(*) FROM big, LATERAL (SELECT 1 FROM shrinks LIMIT 1) s" >/dev/null
sql data -c "VACUUM" -c "CHECKPOINT"
to_lsn=$(sql data -c "SELECT pg_current_wal_lsn()")
to=$(number "pg_current_wal_lsn()")
last=$(sql data -c "SELECT pg_walfile_name(pg_current_wal_lsn())")

pg_stop data fast
mkdir "$scratch/after"
cp -rL "$scratch/data/base" "$scratch/data/global" "$scratch/data/pg_tblspc" "$scratch/after/"

for piece in 100000 8192 4099; do
    rm -rf "$scratch/summaries"
    check "$v: the summary is complete, from pieces of $piece bytes" \
        "$tool" "$scratch/data/pg_wal" "$scratch/summaries" "$system" 1 "$segment" "$from" "$to" "$piece"
    grep -v "^\(block\|limit\|database\) " "$scratch/out" | sed 's/^/# /'
    sed -n '/^\(block\|limit\|database\) /p' "$scratch/out" | sort >"$scratch/said.$piece"
done
same "$v: pieces of any size say the same" "" "$(cmp "$scratch/said.100000" "$scratch/said.8192"; cmp "$scratch/said.100000" "$scratch/said.4099")"
said=$scratch/said.100000
compare() { # compare WHAT MODE FILES...
    local what=$1; shift
    check "$v: $what" python3 "$here/walsummary_check.py" "$1" "$said" "${@:2}"
    sed 's/^/# /' "$scratch/out" | head -n 3
}
if [ "$v" = 15 ]; then
    as "$pg_bin/pg_waldump" -p "$scratch/data/pg_wal" "$first" "$last" >"$scratch/dump" 2>/dev/null
    compare "it names the blocks that pg_waldump does" waldump "$scratch/dump"
fi
compare "every page that differs is named" pages "$scratch/before" "$scratch/after"
pg_start data
if [ "$v" -ge 17 ]; then
    sql data -c "CHECKPOINT"
    wait_for 20 "the server's summaries" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[data]} -U postgres -d postgres -c \"SELECT max(end_lsn) >= '$to_lsn' FROM pg_available_wal_summaries()\")\" = t ]"
    sql data -c "SELECT reltablespace, reldatabase, relfilenode, relforknumber, relblocknumber, is_limit_block FROM pg_available_wal_summaries() s, LATERAL pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) c WHERE s.end_lsn > '0/0'::pg_lsn + $from AND s.start_lsn < '$to_lsn'" >"$scratch/rows"
    compare "it says what the server's own summaries say" server "$scratch/rows"
fi
if [ "$v" -ge 16 ]; then
    sql data -c "CREATE EXTENSION pg_walinspect"
    sql data -c "SELECT reltablespace, reldatabase, relfilenode, relforknumber, relblocknumber FROM pg_get_wal_block_info('0/0'::pg_lsn + $((from / segment * segment + 40)), '$to_lsn')" >"$scratch/rows"
    compare "it names the blocks that pg_walinspect does" blocks "$scratch/rows"
fi
