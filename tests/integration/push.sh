#!/bin/bash
# archive_command = 'hq-backup wal-push %p': with and without the daemon, what is refused, deaths in
# between, and what can be restored from pushed WAL alone.
. "$(dirname "$0")/lib.sh"
system_of() { as "$pg_bin/pg_controldata" -D "$scratch/$1" | awk -F: '/system identifier/ {gsub(/ /, "", $2); print $2}'; }
folder_of() { printf '%s/wal/%s/%016x' "$repository" "$cluster" "$(system_of "$1")"; }
# a segment the store holds, byte for byte as PostgreSQL's
stored() { [ -f "$(folder_of "$1")/${2:0:8}/$2" ]; }
archived() { # archived PG SEGMENT: PostgreSQL was told that it is stored
    [ "$(sql "$1" -c "SELECT coalesce(last_archived_wal, '') >= '$2' FROM pg_stat_archiver")" = t ]
}
switch_wal() { # switch_wal PG: ends the segment, prints its name
    sql "$1" -c "SELECT pg_walfile_name(pg_switch_wal())"
}
push() { backup wal-push "$@"; }
archive_with() { # archive_with PG COMMAND
    cat >>"$scratch/$1/postgresql.conf" <<CONF
archive_mode = on
archive_command = '$2'
wal_keep_size = 512MB
CONF
}
# A copy of a cluster that is still there must not archive: it would push its own timeline 2.
start_copy() { echo "archive_mode = off" >>"$scratch/copy/postgresql.auto.conf" && start_restored copy; }
wal_push="$scratch/bin/hq-backup wal-push --config $config %p"

pg_init data --wal-segsize=1
archive_with data "$wal_push"
hq_init
hq_config data "" <<YAML
wal: {source: push, wait_timeout: 60s}
backup: {schedule: ""}
YAML
pg_stop data fast
pg_start data

# ---- without the daemon --------------------------------------------------------------------------
sql data -c 'CREATE TABLE log (n int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())'
first=$(switch_wal data)
wait_for 60 "the first segment" archived data "$first"
check "a segment is in the store when PostgreSQL was told so" stored data "$first"
cp -p "$scratch/data/pg_wal/$first" "$scratch/$first"
check "wal-push again is a success" push "$scratch/data/pg_wal/$first"
before=$(stat -c '%i %Y' "$(folder_of data)/${first:0:8}/$first")
check "and of a copy with the same bytes, elsewhere" push "$scratch/$first"
same "without another put" "$before" "$(stat -c '%i %Y' "$(folder_of data)/${first:0:8}/$first")"

# Segments are put into a directory of their own: each test changes one thing.
mkdir -p "$scratch/wal/archive_status"; chown -R "$user" "$scratch/wal"
fake() { as cp "$scratch/$first" "$scratch/wal/$first"; chmod 600 "$scratch/wal/$first"; }
poke() { # poke OFFSET BYTES(printf)
    # shellcheck disable=SC2059
    printf "$2" | dd of="$scratch/wal/$first" bs=1 seek="$1" conv=notrunc status=none
}
fake; poke 1000000 'changed'
refuse "other bytes under the same name" 9 'stored already, and with other bytes' push "$scratch/wal/$first"
same "and the object is left alone" "$before" "$(stat -c '%i %Y' "$(folder_of data)/${first:0:8}/$first")"
fake; poke 24 '\x01\x02\x03\x04'
refuse "a segment of another system" 7 'cluster main in this repository is system' push "$scratch/wal/$first"
fake; truncate -s 500000 "$scratch/wal/$first"
refuse "a segment that is too short" 10 'first page says 1048576' push "$scratch/wal/$first"
fake; truncate -s 2M "$scratch/wal/$first"
refuse "and one that is too long" 10 'first page says 1048576' push "$scratch/wal/$first"
fake; poke 0 'not WAL.'
refuse "no WAL at all" 10 'not begin as WAL' push "$scratch/wal/$first"
as mv "$scratch/wal/$first" "$scratch/wal/0000000100000000000000F0"; cp "$scratch/$first" "$scratch/wal/0000000100000000000000F0"
refuse "a segment under another's name" 10 'not what its name says' push "$scratch/wal/0000000100000000000000F0"
rm -f "$scratch/wal/"0*
as touch "$scratch/wal/RECOVERYXLOG"
refuse "a file of no such name" 7 'archives no file of that name' push "$scratch/wal/RECOVERYXLOG"
refuse "a file that is not there" 8 'No such file' push "$scratch/wal/$first"
as touch "$scratch/wal/$first.00000028.backup"
check "a backup's label is accepted" push "$scratch/wal/$first.00000028.backup"
as cp "$scratch/$first" "$scratch/wal/$first.partial"
refuse "a partial segment without its history" 8 'no history file beside it' push "$scratch/wal/$first.partial"

# ---- many wait: they are stored ahead, and receipts answer for them ------------------------------
sql data -c "ALTER SYSTEM SET archive_command = 'false'" >/dev/null
sql data -c 'SELECT pg_reload_conf()' >/dev/null
for n in $(seq 1 20); do
    sql data -c "INSERT INTO log VALUES ($n)"
    last=$(switch_wal data)
    [ "$n" != 1 ] || oldest=$last
done
check "20 segments wait" [ "$(find "$scratch/data/pg_wal/archive_status" -name '*.ready' | wc -l)" -ge 20 ]
check "one call stores the oldest" push "$scratch/data/pg_wal/$oldest"
count=$(find "$(folder_of data)/00000001" -type f -newer "$scratch/$first" | wc -l)
check "and those behind it ($count in all)" [ "$count" -ge 16 ]
same "with a receipt for each ahead" 15 "$(grep -c '^0000' "$scratch/state/$cluster.pushed")"
second=$(sed -n 's/^\(0[0-9A-F]*\) .*/\1/p' "$scratch/state/$cluster.pushed" | head -n 1)
# A receipt needs no store: hide it.
mv "$repository" "$repository.hidden"
check "a receipt answers without the store" push "$scratch/data/pg_wal/$second"
touch "$scratch/data/pg_wal/$second"
refuse "but not for a file that was touched since" 8 'repository' push "$scratch/data/pg_wal/$second"
mv "$repository.hidden" "$repository"
check "which is then compared and found the same" push "$scratch/data/pg_wal/$second"

# ---- deaths ---------------------------------------------------------------------------------------
later=$(sql data -c "SELECT pg_walfile_name('$(sql data -c "SELECT pg_current_wal_lsn()")')")
next_segment() { sql data -c 'INSERT INTO log SELECT coalesce(max(n), 0) + 1 FROM log'; later=$(switch_wal data); }
for point in wal.push.before-put wal.push.after-put wal.push.before-receipts; do
    next_segment; died=$later; next_segment
    { HQ_CRASH_POINT="$point" push "$scratch/data/pg_wal/$died" >"$scratch/out" 2>&1; } 2>/dev/null
    same "killed at $point" 137 "$?"
    check "then the same segment is stored" push "$scratch/data/pg_wal/$died"
    check "and is there" stored data "$died"
done
next_segment
push "$scratch/data/pg_wal/$later" >"$scratch/one" 2>&1 & one=$!
push "$scratch/data/pg_wal/$later" >"$scratch/two" 2>&1 & two=$!
wait $one; status=$?; wait $two; status="$status $?"
same "two at once both succeed" "0 0" "$status"

# ---- with the daemon ------------------------------------------------------------------------------
refuse "status without a daemon" 8 'no hq-backupd runs here' backup status
daemon_start
wait_for 30 "the daemon" backup status
backup status >"$scratch/status" 2>&1
check "status says what the daemon does" grep -q 'No WAL file was pushed so far' "$scratch/status"
sql data -c "ALTER SYSTEM SET archive_command = '$wal_push'" >/dev/null
sql data -c 'SELECT pg_reload_conf()' >/dev/null
next_segment
wait_for 60 "the daemon to store all that waits" archived data "$later"
check "PostgreSQL's segments are in the store" stored data "$later"
backup status --json >"$scratch/status" 2>&1
check "status in JSON counts them" python3 -c "
import json
s = json.load(open('$scratch/status'))
assert s['wal_source'] == 'push' and s['stream'] is None, s
assert s['push']['stored'] > 0 and s['push']['failed'] == 0, s
assert s['backup']['running'] is False, s"
same "no slot was made" 0 "$(sql data -c 'SELECT count(*) FROM pg_replication_slots')"
check "the socket is its owner's alone" [ "$(stat -c '%a' "$scratch/state/$cluster.sock")" = 600 ]
refuse "a second daemon waits for the first, and ends when it is told to" 0 "process $daemon holds the lock.*runs already" \
    as timeout --preserve-status 3 "$scratch/bin/hq-backupd" --config "$config"
fake; poke 1000000 'changed'
refuse "other bytes, by the daemon" 9 'stored already, and with other bytes' push "$scratch/wal/$first"
rm -f "$scratch/wal/"0*
check "a backup, whose WAL is pushed" backup backup
daemon_kill
next_segment
check "a dead daemon's socket does not matter" push "$scratch/data/pg_wal/$later"
# It dies with the file in its hands: whoever asked it stores the file itself.
for point in wal.push.before-put wal.push.after-put; do
    HQ_CRASH_POINT=$point daemon_start
    wait_for 30 "the daemon" backup status
    next_segment
    check "a segment, while the daemon dies at $point" push "$scratch/data/pg_wal/$later"
    { wait "$daemon"; } 2>/dev/null
    same "it did die" 137 "$?"
    check "the segment is stored" stored data "$later"
done
daemon_start
wait_for 30 "the daemon again" backup status

# ---- a time between two commits ---------------------------------------------------------------------
sql data -c "INSERT INTO log VALUES (1000)"
sleep 1.1; target=$(sql data -c "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.USZ')"); sleep 1.1
sql data -c "INSERT INTO log VALUES (1001)"
last=$(switch_wal data)
wait_for 60 "the last segment" archived data "$last"
check "a restore to a time" restore pg --cluster "$cluster" --to "$scratch/copy" --target-time "$target"
if start_copy; then
    same "has what was committed before, and nothing after" "1000" "$(sql copy -c 'SELECT max(n) FROM log')"
fi
drop_restored copy

# ---- a promotion: history, partial segment, new timeline ---------------------------------------------
must as "$pg_bin/pg_basebackup" -h "$scratch" -p "${port_of[data]}" -U postgres -D "$scratch/standby" -R -X stream -c fast
port_of[standby]=$next_port; next_port=$((next_port + 1))
printf "port = %s\narchive_mode = on\n" "${port_of[standby]}" >>"$scratch/standby/postgresql.auto.conf"
pg_start standby
sql data -c "INSERT INTO log VALUES (2000)"
wait_for 30 "the standby" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[standby]} -U postgres -d postgres -c 'SELECT max(n) FROM log')\" = 2000 ]"
pg_stop data immediate
must as "$pg_bin/pg_ctl" -D "$scratch/standby" -w -s promote
new_segment() { find "$(folder_of standby)" -maxdepth 1 -name 00000002.history | grep -q .; }
wait_for 60 "the history file" new_segment
ok "the new timeline's history is stored"
as cp "$scratch/standby/pg_wal/00000002.history" "$scratch/wal/"
as cp "$scratch/$first" "$scratch/wal/"
check "which may come again" push "$scratch/wal/00000002.history"
echo "# another" >>"$scratch/wal/00000002.history"
refuse "but not another of that number, longer" 9 'stored already, and with other bytes' push "$scratch/wal/00000002.history"
tr n N <"$scratch/standby/pg_wal/00000002.history" >"$scratch/wal/00000002.history"
refuse "or as long" 9 'stored already, and with other bytes' push "$scratch/wal/00000002.history"
part() { find "$(folder_of standby)/00000001" -name '*.*-*' | grep -q .; }
wait_for 60 "the partial segment" part
ok "the old timeline's last segment is stored as a part up to the switch"
sql standby -c "INSERT INTO log VALUES (2001)"
last=$(switch_wal standby)
wait_for 60 "the new timeline's segment" archived standby "$last"
check "a restore to the end" restore pg --cluster "$cluster" --to "$scratch/copy"
if start_copy; then
    same "follows the new timeline" "2001" "$(sql copy -c 'SELECT max(n) FROM log')"
fi
drop_restored copy
check "a restore along the old timeline" restore pg --cluster "$cluster" --to "$scratch/copy" --target-timeline 1
if start_copy; then
    same "has what its part holds" "2000" "$(sql copy -c 'SELECT max(n) FROM log')"
fi
daemon_stop
same "the daemon ends well" 0 $?
check "and removes its socket" [ ! -e "$scratch/state/$cluster.sock" ]

# ---- streamed and pushed: the same segment by both ways --------------------------------------------
hq_config standby "" <<YAML
backup: {schedule: ""}
YAML
sql standby -c "ALTER SYSTEM SET archive_command = 'false'" >/dev/null
sql standby -c 'SELECT pg_reload_conf()' >/dev/null
daemon_start
streams() { backup status --json | grep -q '"streaming": *true'; }
wait_for 30 "the stream" streams
sql standby -c "INSERT INTO log VALUES (2002)"
last=$(switch_wal standby)
sql standby -c "INSERT INTO log VALUES (2003)"
wait_for 30 "the streamed segment" stored standby "$last"
before=$(stat -c '%i' "$(folder_of standby)/${last:0:8}/$last")
check "a segment that was streamed is pushed" push "$scratch/standby/pg_wal/$last"
same "and found to be the same" "$before" "$(stat -c '%i' "$(folder_of standby)/${last:0:8}/$last")"
backup status >"$scratch/status" 2>&1
check "status tells of the stream" grep -q 'Streaming runs, timeline 2' "$scratch/status"
check "and of the slot" grep -q 'The slot holds back' "$scratch/status"
daemon_stop
same "the streaming daemon ends well" 0 $?
check "the repository verifies" backup verify --key "$scratch/restore.key"

# ---- the cluster moves to another system: its schedule does not wait for the next time -------------
pg_init moved --wal-segsize=1
archive_with moved "$wal_push"
hq_config moved "" <<YAML
wal: {source: push, wait_timeout: 60s}
backup: {schedule: "0 3 1 1 *"}
YAML
pg_stop moved fast
pg_start moved
before=$(backups)
daemon_start
wait_for 30 "the daemon" backup status
sleep 6
same "a schedule that is not due takes no backup" "$before" "$(backups)"
check "the move is accepted" backup lineage accept --reason 'moved by the test'
wait_for 90 "the first backup of the new system" has_backup $((before + 1)) &&
    ok "a daemon that is pushed to takes the new lineage's first backup"
daemon_stop
