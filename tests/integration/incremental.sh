#!/bin/bash
# Backups that take unchanged pages from the last one. A chain of them under a random workload, each
# restored and compared page by page with the server; then whatever could make an old page pass for
# a new one: each condition of engine/backup_parent.h, and what databases and disks can do.
#
#     incremental.sh [SEED [BACKUPS]]
#
# Environment: HQ_SUMMARY=1 with a server of 17 or later (HQ_PG_BIN): it summarizes WAL, and each
# backup of the chain must be one of what changed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/incremental_lib.sh"
seed=${1:-$(date +%s)} backups=${2:-20}
pg_init live
cat >>"$scratch/live/postgresql.conf" <<CONF
autovacuum = off
bgwriter_lru_maxpages = 0
${HQ_SUMMARY:+summarize_wal = on}
CONF
pg_stop live fast; pg_start live
mkdir -m 700 "$scratch/fast"; chown "$user" "$scratch/fast"
sql live -c "CREATE TABLESPACE fast LOCATION '$scratch/fast'"
for t in 0 1 2 3 4 5; do
    sql live -c "CREATE TABLE t$t (a int, b text)" -c "CREATE INDEX t${t}_a ON t$t (a)" \
        -c "INSERT INTO t$t SELECT g, repeat(md5(g::text), 5) FROM generate_series(1, 5000) g"
done
sql live -c "CREATE SEQUENCE s" -c "CREATE UNLOGGED TABLE u AS SELECT 1 AS a" -c "CREATE DATABASE mould"
db=mould sql live -c "CREATE TABLE m AS SELECT g AS a, 'first' AS b FROM generate_series(1, 20000) g"
hq_init
hq_config live </dev/null
sleep 3.5 # a database that has just been made is not taken for the parent's
still live; take; said "the first one has no parent" "there is no backup of this system yet"
compare "the first one is the server" live
daemon_start

echo "== a chain of $backups backups, seed $seed"
failed=$failures
for i in $(seq "$backups"); do
    python3 "$here/incremental.py" load $((seed * 1000 + i)) >"$scratch/load.sql"
    sql live -f "$scratch/load.sql" >/dev/null 2>"$scratch/load.err" || true
    still live
    take || break
    inherited || not_ok "backup $i takes pages from its parent" "$scratch/backup.log"
    [ -z "${HQ_SUMMARY:-}" ] || [ "$(json_text found_by)" = server-summary ] ||
        not_ok "backup $i gets what changed" "$scratch/backup.log"
    compare "backup $i is the server" live >"$scratch/compare.out"
    grep -q '^ok' "$scratch/compare.out" || { cat "$scratch/compare.out" "$scratch/load.sql"; break; }
done
[ "$failures" = "$failed" ] && ok "each of $backups backups in a row is the server, page by page"
[ -n "${HQ_SUMMARY:-}" ] || sound "the last one" # of 17 there is the server alone

echo "== --full-read"
take --full-read
said "--full-read reads every page" 'why=--full-read|why="--full-read"'
same "and takes none over" 0 "$(json_number inherited_pages)"
compare "and is the server" live

echo "== a database made anew under its old number, with pages as old as its mould's"
db=mould sql live -c "CREATE TABLE other AS SELECT g AS a, 'second' AS b FROM generate_series(1, 20000) g"
sql live -c "CREATE DATABASE re TEMPLATE mould STRATEGY FILE_COPY OID = 77777"
sleep 3.5; still live; take; take
compare "a copied database is the server" live
db=mould sql live -c "UPDATE m SET b = 'third!'" -c "VACUUM FULL m" -c "UPDATE other SET b = 'x'"
still live; take
sql live -c "DROP DATABASE re"
sql live -c "CREATE DATABASE re TEMPLATE mould STRATEGY FILE_COPY OID = 77777"
still live; take
compare "the same number, another database" live

echo "== the server's disk is put back to where it was"
still live; pg_stop live fast
cp -a "$scratch/live" "$scratch/before"; cp -a "$scratch/fast" "$scratch/before_fast"
pg_start live
sql live -c "UPDATE t1 SET b = 'later'"
still live; take
stop_lsn=$(sql live -c "SELECT pg_current_wal_flush_lsn()")
daemon_stop >/dev/null
pg_stop live fast
rm -rf "$scratch/live" "$scratch/fast"
mv "$scratch/before" "$scratch/live"; mv "$scratch/before_fast" "$scratch/fast"
pg_start live
sql live -c "UPDATE t1 SET b = 'another'" -c "UPDATE t2 SET b = 'another'"
past() { [ "$(sql live -c "SELECT pg_current_wal_flush_lsn() > '$stop_lsn'::pg_lsn + 40000000")" = t ]; }
until past; do sql live -c "INSERT INTO t3 SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g"; done
still live; take
said "the next backup does not believe its pages" "started anew since backup"
compare "the server that was put back is the server" live

[ -z "${HQ_SUMMARY:-}" ] || exit 0

echo "== data checksums are turned off"
pg_stop live fast
must as "$pg_bin/pg_checksums" --disable -D "$scratch/live" --no-sync
pg_start live
sql live -c "UPDATE t4 SET b = 'unsummed'"
still live; take
said "no page goes into the backup with a checksum that the server does not have" "checksums were turned off since"
compare "the server without checksums is the server" live

echo "== VACUUM calls pages all-visible, which without checksums is no change in WAL of theirs"
sql live -c "CREATE TABLE seen AS SELECT g AS a, repeat(md5(g::text), 5) AS b FROM generate_series(1, 20000) g" \
    -c "SELECT count(*) FROM seen" >/dev/null
still live; take
visible() { python3 "$here/incremental.py" visible "$scratch/$1" "$(sql live -c "SELECT pg_relation_filepath('seen')")"; }
same "no page is all-visible before" 0 "$(visible live)"
sql live -c "VACUUM seen"
still live; take
check "pages of it are then" test "$(visible live)" -gt 100
check "others are still taken over" inherited 100
restore_copy "a server without checksums" && same "and the backup has as many" "$(visible live)" "$(visible copy)"

echo "== the same while checksums are off between two backups that have them"
checksums() { pg_stop live fast; must as "$pg_bin/pg_checksums" "--$1" -D "$scratch/live" --no-sync; pg_start live; }
checksums enable
sql live -c "DROP TABLE seen" -c "CREATE TABLE seen AS SELECT g AS a, repeat(md5(g::text), 5) AS b FROM generate_series(1, 20000) g" \
    -c "SELECT count(*) FROM seen" >/dev/null
still live; take
checksums disable
sql live -c "VACUUM seen"
checksums enable
still live; take
check "pages are taken over" inherited 100
check "pages of the table are all-visible" test "$(visible live)" -gt 100
restore_copy "checksums off for a while" && same "and the backup knows all of them" "$(visible live)" "$(visible copy)"
exit 0
