#!/bin/bash
# The daemon's WAL summaries: complete from a backup's start to now, over restarts, kills, a shutdown
# of the server and a promotion; a file that is lost or damaged is a hole and nothing else.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
tool=$build/../tests/walblocks_tool

pg_init data --wal-segsize=1
echo "autovacuum = off" >>"$scratch/data/postgresql.conf"
pg_stop data fast
pg_start data
system=$(sql data -c "SELECT system_identifier FROM pg_control_system()")
number() { sql data -c "SELECT '$1'::pg_lsn - '0/0'::pg_lsn"; }
now() { sql data -c "SELECT pg_current_wal_flush_lsn()"; }
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the first backup" has_backup 1
pgbench -h "$scratch" -p "${port_of[data]}" -U postgres -i -s 3 -q postgres >/dev/null 2>&1
sql data -c "CHECKPOINT"
sql data -c "CREATE TABLE blocks AS SELECT n, repeat('b', 900) AS pad FROM generate_series(1, 4000) n" -c "CHECKPOINT"
from=$(now)
summaries=$scratch/state/summaries/main

# ask LSN: have the daemon write down what it knows up to there
ask() {
    as python3 - "$scratch/state/main.sock" "$1" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(30)
s.connect(sys.argv[1])
s.send(json.dumps({"version": 1, "operation": "summary", "argument": sys.argv[2]}).encode())
answer = json.loads(s.recv(65536))
print(answer)
sys.exit(answer["code"])
PY
}
timeline=1
# complete WHAT: the daemon tells what changed from $from to now
complete() {
    local to
    to=$(now)
    check "$1: the daemon is asked" ask "$to"
    check "$1: nothing is missing" "$tool" - "$summaries" "$system" "$timeline" $((1 << 20)) "$(number "$from")" "$(number "$to")"
    cp "$scratch/out" "$scratch/said"
}
file() { echo "$summaries/$(printf '%016X-%08X-%016X.summary' "$system" 1 $(($1 / (1 << 20) * (1 << 20))))"; }
load() { pgbench -h "$scratch" -p "${port_of[data]}" -U postgres -c 2 -T "$1" -N postgres >/dev/null 2>&1; }

load 2
complete "under load"
sql data -c "UPDATE blocks SET n = -n WHERE n = 2000"
wanted=$(sql data -c "SELECT 'block 1663 ' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || ' ' || pg_relation_filenode('blocks') || ' 0 ' || (ctid::text::point)[0]::int FROM blocks WHERE n = -2000")
complete "after an update"
check "the block that was written is named" grep -qx "$wanted" "$scratch/said"

(load 9) &
busy=$!
for i in 1 2 3; do
    sleep 1
    daemon_stop
    daemon_start
    sleep 1
    daemon_kill
    daemon_start
done
wait "$busy"
wait_for 30 "the daemon" ask "$(now)"
complete "after restarts and kills"

sql data -c "SELECT pg_switch_wal()" >/dev/null
pg_stop data fast
pg_start data
sql data -c "UPDATE blocks SET n = -n WHERE n = 1"
wait_for 60 "the daemon to be connected again" ask "$(now)"
complete "after the server was restarted"

middle=$(($(number "$from") + 2 * (1 << 20)))
victim=$(file "$middle")
to=$(now)
cp -p "$victim" "$scratch/kept"
rm "$victim"
refuse "a file that is lost is a hole" 2 "a hole from" "$tool" - "$summaries" "$system" 1 $((1 << 20)) "$(number "$from")" "$(number "$to")"
check "what lies behind it is known" "$tool" - "$summaries" "$system" 1 $((1 << 20)) $((middle / (1 << 20) * (1 << 20) + (1 << 20))) "$(number "$to")"
python3 - "$scratch/kept" "$victim" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[len(b) // 2] ^= 1
open(sys.argv[2], "wb").write(b)
PY
refuse "a file that is damaged is a hole" 2 "checksum" "$tool" - "$summaries" "$system" 1 $((1 << 20)) "$(number "$from")" "$(number "$to")"
cp -p "$scratch/kept" "$victim"
check "with the file nothing is missing" "$tool" - "$summaries" "$system" 1 $((1 << 20)) "$(number "$from")" "$(number "$to")"
refuse "what is no LSN is refused" 1 "not an LSN" ask nonsense

# The server becomes a primary of timeline 2: what changed before and after the switch is known.
pg_stop data fast
as touch "$scratch/data/standby.signal"
pg_start data
sql data -c "SELECT pg_promote()" >/dev/null
sql data -c "UPDATE blocks SET n = -n WHERE n = 3000" -c "SELECT pg_switch_wal()" >/dev/null
switch=$(cut -f 2 "$scratch/data/pg_wal/00000002.history")
timeline="1@$(number "$switch"),2"
wait_for 60 "the new timeline" ask "$(now)"
complete "after a promotion"
grep "^block" "$scratch/said" >"$scratch/blocks"
wanted=$(sql data -c "SELECT 'block 1663 ' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || ' ' || pg_relation_filenode('blocks') || ' 0 ' || (ctid::text::point)[0]::int FROM blocks WHERE n = -3000")
check "the block that was written after it is named" grep -qx "$wanted" "$scratch/blocks"
daemon_stop
same "the daemon ends cleanly" 0 $?
