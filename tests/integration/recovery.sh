#!/bin/bash
# WAL on its way to a server that recovers: what hq-restore pg stages, what is fetched ahead, what
# wal-get answers, and that no trouble is ever taken for the end of WAL.
. "$(dirname "$0")/lib.sh"

pg_init data --wal-segsize=1
hq_init
hq_config data </dev/null
daemon_start
wait_for 60 "the first backup" has_backup 1
sql data -c "CREATE TABLE steps (n bigserial PRIMARY KEY, pad text)"
# grow SEGMENTS: so many segments of WAL, the last one incomplete
grow() {
    for ((i = 0; i < $1; i++)); do
        sql data -c "INSERT INTO steps (pad) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 500) i" \
            -c "SELECT pg_switch_wal()" >/dev/null
    done
    sql data -c "INSERT INTO steps (pad) VALUES ('last')"
}
rows() { sql "$1" -c 'SELECT count(*), sum(n) FROM steps'; }
grow 24
catch_up data
wanted=$(rows data)
pg_stop data fast
daemon_stop

r=$scratch/r
folder=$r/hq_restore
prefetch=$folder/prefetch
bring_back() { must restore pg --cluster "$cluster" --to "$r" "$@"; }
segments() { ls "$prefetch" 2>/dev/null | grep -cE '^[0-9A-F]{24}$'; }
# the process that fetches ahead, by its name
fetchers() {
    local p
    for p in /proc/[0-9]*; do
        [ "$(cat "$p/comm" 2>/dev/null)" = hq-wal-prefetch ] && [ "$(readlink "$p/fd/2")" = "$prefetch/log" ] && echo "${p#/proc/}"
    done
    return 0
}
none_runs() { [ -z "$(fetchers)" ]; }
get() { as "$scratch/bin/hq-restore" wal-get --settings "$folder/wal.json" "$1" "$scratch/got"; }
rm -f "$scratch/got"

# ---- everything staged by the restore -----------------------------------------------------------
bring_back --latest
staged=$(segments)
check "the restore stages the WAL it knows of ($staged segments)" test "$staged" -ge 23
check "its files are the server's alone" test -z "$(find "$folder" ! -user "$user")$(find "$folder" -perm /077 ! -type l)"
mv "$repository" "$scratch/away"
start_restored r && same "recovery needs no store for what is staged" "$wanted" "$(rows r)"
mv "$scratch/away" "$repository"
check "the folder is gone when recovery has ended" test ! -e "$folder" -a ! -e "$folder.done"
check "nobody fetches ahead any more" wait_for 5 "the fetcher's end" none_runs
same "pg_wal holds no temporary file" "" "$(find "$r/pg_wal" -name '.hq-*')"
drop_restored r

# ---- nothing staged: all of it comes by the process that fetches ahead ---------------------------
bring_back --latest
first=$(sed -n 's/.*file \([0-9A-F]\{24\}\)).*/\1/p' "$r/backup_label")
check "the first segment lies apart, so that wal-get is run at once" test -s "$folder/$first" -a ! -e "$prefetch/$first"
# only what was incomplete at the restore stays
unstage() { rm -f "$prefetch"/0* "$folder/$first"; }
unstage
number() { printf '%s%08X' "${first:0:16}" $((16#${first:16} + $1)); }
check "the first segment, fetched itself" get "$(number 0)"
fetcher=$(fetchers)
check "a process fetches ahead" test -n "$fetcher"
wait_for 10 "segments ahead" test -s "$prefetch/$(number 3)"
sleep 0.3
ahead=$(segments)
check "few segments at first ($ahead)" test "$ahead" -ge 3 -a "$ahead" -le 8
same "it has a session of its own" "$fetcher" "$(ps -o sid= -p "$fetcher" | tr -d ' ')"
same "it holds nothing of who started it" "/dev/null /dev/null $prefetch/log /" \
    "$(readlink "/proc/$fetcher/fd/0" "/proc/$fetcher/fd/1" "/proc/$fetcher/fd/2" "/proc/$fetcher/cwd" | xargs)"
inode=$(stat -c %i "$prefetch/$(number 1)")
check "the second one lies ready" get "$(number 1)"
same "... and is moved, not copied" "$inode" "$(stat -c %i "$scratch/got")"
check "the fetched one is the archived one" test "$(stat -c %s "$scratch/got")" = 1048576
for i in 2 3 4 5 6 7 8 9 10 11 12; do get "$(number $i)" || not_ok "segment $i"; done
same "one process all the time" "$fetcher" "$(fetchers)"
kill -9 "$fetcher"
unstage
head -c 300000 /dev/urandom >"$prefetch/$(number 14)"
head -c 300000 /dev/urandom >"$prefetch/.hq-tmp-abcdef"
: >"$prefetch/$(number 13).fetching"
chown -h "$user" "$prefetch"/* "$prefetch"/.hq-tmp-*
check "a dead fetcher's mark holds nobody up" timeout 20 "${become[@]}" "$scratch/bin/hq-restore" wal-get --settings "$folder/wal.json" "$(number 13)" "$scratch/got"
check "a torn file is not taken" get "$(number 14)"
same "... but fetched" 1048576 "$(stat -c %s "$scratch/got")"
check "what the dead one left is cleared away" test ! -e "$prefetch/.hq-tmp-abcdef" -a ! -e "$prefetch/$(number 13).fetching"
wait_for 10 "segments ahead" test -s "$prefetch/$(number 16)"
kill "$(fetchers)"
check "a fetcher ends on SIGTERM" wait_for 5 "the fetcher's end" none_runs
check "... in good order" grep -q 'stopped by a signal' "$prefetch/log"
check "going back to an earlier segment" get "$(number 2)"
wait_for 10 "segments ahead of it" test -s "$prefetch/$(number 3)"
check "what is behind the server is removed" sh -c "sleep 0.2; ! test -e '$prefetch/$(number 1)'"
rm -f "$scratch/got"
refuse "a segment behind the end of WAL" 1 "not part of this recovery" get "$(number 999)"
refuse "a timeline that does not exist" 1 "not part of this recovery" get 00000002.history
start_restored r && same "the server recovers by fetching ahead" "$wanted" "$(rows r)"
check "nobody fetches ahead any more" wait_for 5 "the fetcher's end" none_runs
check "the folder is gone" test ! -e "$folder" -a ! -e "$folder.done"
pg_stop r fast
drop_restored r

# ---- trouble is never the end of WAL -----------------------------------------------------------
bring_back --latest
unstage
mv "$repository" "$scratch/away"
refuse "the store is gone" 126 "repository" get "$(number 0)"
so_far=$failures
start_restored r 2>/dev/null >"$scratch/started"
failures=$so_far # that it fails is what is wanted
check "the server does not take that for the end of WAL" grep -q '^not ok - r starts' "$scratch/started"
check "... and says so" grep -q 'could not restore file' "$scratch/r.log"
mv "$scratch/away" "$repository"
check "with the store back it recovers" as "$pg_bin/pg_ctl" -D "$r" -l "$scratch/r.log" -t 60 -w -s start
wait_for 30 "the end of recovery" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[r]} -U postgres -d postgres -c 'SELECT pg_is_in_recovery()')\" = f ]"
same "... everything" "$wanted" "$(rows r)"
drop_restored r

bring_back --latest
unstage
refuse "the command line is wrong" 126 "wal-get" as "$scratch/bin/hq-restore" wal-get --settings "$folder/wal.json"
refuse "there are no settings" 126 "wal.json" as "$scratch/bin/hq-restore" wal-get --settings "$scratch/none/wal.json" "$(number 0)" "$scratch/got"
refuse "there is no key file" 126 "none.key" as "$scratch/bin/hq-restore" wal-get --repository "$repository" --key "$scratch/none.key" "$(number 0)" "$scratch/got"
refuse "there is no repository" 126 "none" as "$scratch/bin/hq-restore" wal-get --repository "$scratch/none" --key "$scratch/restore.key" "$(number 0)" "$scratch/got"
refuse "the destination's directory is missing" 126 "nowhere" as "$scratch/bin/hq-restore" wal-get --settings "$folder/wal.json" "$(number 0)" "$scratch/nowhere/file"
check "nothing was delivered" test ! -e "$scratch/got"
object=$(find "$repository/wal" -name "$(number 5)")
cp -p "$object" "$scratch/object"
must python3 "$top/tests/integration/damage.py" flip "$object"
check "before the damage" get "$(number 3)"
sleep 0.5
rm -f "$scratch/got"
refuse "a damaged segment, though it was to be fetched ahead" 126 "$(number 5).*(authentication|damaged)" get "$(number 5)"
check "... is not delivered" test ! -e "$scratch/got"
check "... and the fetcher says why" grep -q 'code=CORRUPT' "$prefetch/log"
cp -p "$scratch/object" "$object"

# A server that stops sends SIGTERM to its restore_command too, and that must end by it. Here it waits
# for a segment that somebody seems to be fetching.
kill "$(fetchers)" 2>/dev/null
wait_for 5 "the fetcher's end" none_runs
unstage
as touch "$prefetch/$(number 0).fetching"
"${become[@]}" flock "$prefetch/lock" sleep 60 &
holder=$!
wait_for 5 "the lock" sh -c "! flock -n '$prefetch/lock' true"
"${become[@]}" "$scratch/bin/hq-restore" wal-get --settings "$folder/wal.json" "$(number 0)" "$scratch/got" &
getter=$!
sleep 0.5
kill -TERM "$getter"
wait "$getter" 2>/dev/null
same "SIGTERM ends wal-get by the signal" 143 $?
echo "port = 54999
unix_socket_directories = '$scratch'" >>"$r/postgresql.auto.conf"
as "$pg_bin/pg_ctl" -D "$r" -l "$scratch/r.log" -W -s start
wait_for 10 "wal-get of the server" pgrep -f "wal-get --settings $folder/wal.json"
check "a server that waits for WAL stops at once" timeout 10 "${become[@]}" "$pg_bin/pg_ctl" -D "$r" -m fast -w -s stop
check "... without an error" sh -c "! tail -n 5 '$scratch/r.log' | grep -E 'FATAL|PANIC'"
pkill -P "$holder"
wait "$holder" 2>/dev/null
start_restored r && same "and recovers when it is started again" "$wanted" "$(rows r)"
drop_restored r

bring_back --latest
check "a segment" get "$(number 0)"
check "a process fetches ahead" test -n "$(fetchers)"
rm -rf "$r"
check "a fetcher ends when its folder is gone" wait_for 5 "the fetcher's end" none_runs

# ---- timelines --------------------------------------------------------------------------------
bring_back --latest
start_restored r
wanted=$(rows r)
hq_config r </dev/null
daemon_start
sql r -c "INSERT INTO steps (pad) VALUES ('second timeline')"
wait_for 60 "timeline 2 in the repository" sh -c "[ -n \"\$(find '$repository/wal' -name '00000002*' -path '*00000002/*')\" ]"
catch_up r
daemon_stop
pg_stop r fast
drop_restored r
bring_back --latest --target-timeline 1
refuse "a segment of a timeline beyond the chosen one" 1 "not part of this recovery" get "00000002${first:8}"
start_restored r
same "along timeline 1 nothing of timeline 2 is seen" "$wanted" "$(rows r)"
same "the new timeline takes no number that is taken" 00000003 "$(sql r -c 'CHECKPOINT' -c "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")"
drop_restored r
