#!/bin/bash
# Streamed backups of a server that summarizes WAL (17 and later): it sends what changed, the rest is
# the last backup's. Each is restored and compared page by page with the server; then what the
# server's summary does not say, or is not there to say.
#
#     server_summary.sh [VERSION...]     by default 17
. "$(dirname "$0")/each_version.sh" 180 17 "$@"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/incremental_lib.sh"
v=$HQ_VERSION

# right WHAT FOUND_BY: a backup finds what changed in that way, and restored it is the server
right() {
    take || return 1
    [ "$(json_text found_by)" = "$2" ] || { not_ok "$v: $1 (found by $(json_text found_by), not $2)" "$scratch/backup.log"; return 1; }
    compare "$v: $1" live
}
summaries() { find "$scratch/live/pg_wal/summaries" -name '*.summary' | wc -l; }

pg_init live
cat >>"$scratch/live/postgresql.conf" <<CONF
autovacuum = off
bgwriter_lru_maxpages = 0
summarize_wal = on
CONF
pg_stop live fast; pg_start live
mkdir -m 700 "$scratch/fast"; chown "$user" "$scratch/fast"
sql live <<SQL
CREATE TABLESPACE fast LOCATION '$scratch/fast';
CREATE TABLE t AS SELECT g AS a, repeat(md5(g::text), 5) AS b FROM generate_series(1, 20000) g;
CREATE INDEX ON t (a);
CREATE TABLE apart TABLESPACE fast AS SELECT * FROM t;
CREATE TABLE tail AS SELECT * FROM t;
CREATE TABLE full_of AS SELECT * FROM t;
CREATE TABLE gone AS SELECT * FROM t;
CREATE UNLOGGED TABLE fleeting AS SELECT * FROM t;
CREATE DATABASE mould;
CREATE ROLE backup LOGIN REPLICATION;
SQL
db=mould sql live -c "CREATE TABLE m AS SELECT g AS a, 'first' AS b FROM generate_series(1, 20000) g"
hq_init
# A role that may do no more than replicate.
hq_config live </dev/null
sed -i 's/user=postgres"/user=backup"/' "$config"
sleep 3.5 # a database that has just been made is not taken for the parent's
sql live -c CHECKPOINT; take
same "$v: the first backup has no parent" "" "$(json_text found_by)"
daemon_start
sql live -c "UPDATE t SET b = 'new' WHERE a < 300" -c "UPDATE apart SET b = 'new' WHERE a % 900 = 0"
right "scattered changes, in a tablespace too" server-summary
check "$v: nearly all pages are the last backup's" test "$(($(json_number inherited_pages) * 10))" -gt "$(($(json_number pages) * 9))"
right "no change at all" server-summary
sql live -c "VACUUM FULL full_of" -c "DROP TABLE gone" -c "TRUNCATE fleeting" -c "INSERT INTO fleeting VALUES (1, 'x')" \
    -c "ALTER TABLE fleeting SET LOGGED" -c "CREATE TABLE gone AS SELECT * FROM t" -c "VACUUM t" -c "REINDEX TABLE t"
sql live -c "CREATE DATABASE copied TEMPLATE mould STRATEGY FILE_COPY OID = 77777" -c "CREATE DATABASE logged TEMPLATE mould STRATEGY WAL_LOG"
right "rewritten, dropped and made again, unlogged to logged; databases made by both strategies" server-summary
db=mould sql live -c "UPDATE m SET b = 'third!'"
sql live -c "DROP DATABASE copied" -c "CREATE DATABASE copied TEMPLATE mould STRATEGY FILE_COPY OID = 77777" -c "ALTER DATABASE logged SET TABLESPACE fast"
right "the same number, another database; and one that moved" server-summary

# Blocks that were cut off and are there again as zeros, which no record of WAL says: in the last
# backup they hold rows that have been deleted since. The server has not summarized the cut yet.
sql live -c "DELETE FROM tail WHERE a > 5000" -c "VACUUM tail"
cut=$(sql live -c "SELECT pg_relation_size('tail') / 8192")
sql live -c "INSERT INTO tail SELECT g, repeat('y', 800) FROM generate_series(1, 100) g"
tail_file=$scratch/live/$(sql live -c "SELECT pg_relation_filepath('tail')")
as truncate -s +160K "$tail_file"
check "$v: the table was cut off" test "$cut" -lt 400
right "rows of blocks that were cut off do not come back" server-summary

# What makes the server of no use.
sql live -c "UPDATE t SET b = 'newer' WHERE a % 90 = 0"
sql live -c "ALTER SYSTEM SET summarize_wal = off" -c "SELECT pg_reload_conf()" >/dev/null
sleep 0.5
right "without summaries LSNs say it" page-lsn
sql live -c "ALTER SYSTEM RESET summarize_wal" -c "SELECT pg_reload_conf()" >/dev/null
sql live -c "UPDATE t SET b = 'newest' WHERE a % 80 = 0" -c CHECKPOINT -c "SELECT pg_sleep(1)" >/dev/null
check "$v: there are summaries" test "$(summaries)" -gt 0
find "$scratch/live/pg_wal/summaries" -name '*.summary' -delete
right "summaries that are gone" page-lsn
said "$v: and the backup that was begun for them is told of, once" "the server's summary of WAL is of no use: the backup is begun again"
same "$v: once" 1 "$(grep -c 'of no use' "$scratch/backup.log")"
sql live -c "UPDATE t SET b = 'last' WHERE a % 70 = 0"
right "the next one is again of what changed" server-summary

# Nobody knows what WAL changed, and the server has not summarized it: only the backup's own
# checkpoint tells.
daemon_stop >/dev/null
rm -rf "$scratch/state/summaries"
sql live -c "DELETE FROM tail WHERE a > 2000 OR b LIKE 'y%'" -c "VACUUM tail"
right "a cut that is known late" page-lsn
said "$v: and the log says that it was why" "cut off since the backup began"
