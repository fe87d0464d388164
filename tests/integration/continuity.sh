#!/bin/bash
# Proof of continuity: an object deleted behind our back is missed within a minute, and named in the
# log, list, points and metrics alike; acknowledged with a reason; covered by a backup.
. "$(dirname "$0")/lib.sh"

# Segments of 1 MiB: many of them cost nothing.
pg_init data --wal-segsize=1
hq_init
hq_config data "" <<YAML
backup: {schedule: "0 3 * * *"}
metrics: {listen: $scratch/metrics.sock}
YAML
get() { curl -sS --max-time 10 --unix-socket "$scratch/metrics.sock" "$@"; }
status() { get -o "$scratch/body" -w '%{http_code}' "$@"; }
# metric NAME...: the samples' values, a line each; trouble when the text is not in form
metric() { get http://localhost/metrics >"$scratch/metrics" && python3 "$top/tests/integration/metrics_check.py" "$@" <"$scratch/metrics"; }
gaps() { metric 'gaps{state="open"' 'gaps{state="acknowledged"' 'gaps{state="covered"' unacknowledged_gaps | tr '\n' ' '; }
has_gaps() { [ "$(gaps)" = "$1" ]; }
# The text of a time in JSON, in seconds
epoch() { python3 -c "
import datetime, sys
print(f'{datetime.datetime.fromisoformat(sys.argv[1].replace(\"Z\", \"+00:00\")).timestamp():.6f}')" "$1"; }
segments() { # segments N: write so many, and wait until they are stored
    local i
    for ((i = 0; i < $1; i++)); do
        sql data -c "INSERT INTO t VALUES ($i)" -c "SELECT pg_switch_wal()" >/dev/null
    done
    catch_up data
}
wal=
stored() { (cd "$wal" && ls | grep -E '^[0-9A-F]{24}$' | sort); }
logged() { grep -F 'message="gap in the WAL"' "$scratch/daemon.log" | grep -qF "$1"; }
# json WHO FILTER: of `hq-backup list` or `hq-restore points` in Python's words, `c` the cluster
json() {
    local command=(backup list)
    [ "$1" != points ] || command=(restore points --cluster main)
    "${command[@]}" --json | python3 -c "
import json, sys
c = [c for c in json.load(sys.stdin)['clusters'] if c['cluster'] == 'main'][0]
print($2)"
}
both() { # both WHAT EXPECTED FILTER
    same "$1: hq-backup list" "$2" "$(json list "$3")"
    same "$1: hq-restore points" "$2" "$(json points "$3")"
}
states="' '.join(g['first_segment'] + ' ' + g['state'] for g in c['gaps'])"

sql data -c "CREATE TABLE t (n int)"
daemon_start
wait_for 60 "the first backup" has_backup 1
segments 6
wal=$(echo "$repository"/wal/main/*/00000001)
both "WAL without a hole has no gap" "1 0" "f\"{len(c['ranges'])} {len(c['gaps'])}\""
# The server may write a record by itself between the two.
same_ranges() { [ "$(json list "c['ranges']")" = "$(json points "c['ranges']")" ]; }
wait_for 20 "the same range in list and points" same_ranges
check "list and points tell the same range" same_ranges
same "... and the same backups" "$(json list "c['list']")" "$(json points "c['list']")"

# ---- Monitoring tells the same -------------------------------------------------------------------
wait_for 20 "metrics" has_gaps "0 0 0 0 "
check "metrics are in form" metric
if command -v promtool >/dev/null; then
    check "promtool finds nothing wrong" sh -c "promtool check metrics <'$scratch/metrics'"
    sed -n '/^    groups:/,$s/^    //p' "$top/docs/metrics.md" >"$scratch/rules.yaml"
    check "... nor with the documented alerts" promtool check rules "$scratch/rules.yaml"
fi
grep -oE '^hqbackup_[a-z_]+' "$scratch/metrics" | sort -u | while read -r name; do
    name=${name#hqbackup_}
    grep -qE "\`(last_backup)?${name#last_backup}[\`{]" "$top/docs/metrics.md" || echo "$name"
done >"$scratch/undocumented"
check "every metric is documented" test ! -s "$scratch/undocumented"
is_same_end() { [ "$(metric recoverable_until_timestamp_seconds)" = "$(epoch "$(json points "c['ranges'][-1]['to']")")" ]; }
wait_for 20 "the same end in metrics and points" is_same_end
ok "metrics and points tell the same end"
same "... and beginning" "$(epoch "$(json points "c['ranges'][-1]['from']")")" "$(metric recoverable_from_timestamp_seconds)"
same "... and backups" "1 0" "$(metric backups incomplete_backups | tr '\n' ' ' | sed 's/ $//')"
same "the archiver is at work" "1 1" "$(metric wal_streaming wal_timeline | tr '\n' ' ' | sed 's/ $//')"
check "puts are counted" test "$(metric wal_puts_total)" -ge 6
check "the slot's WAL is told" test "$(metric slot_retained_bytes)" -ge 0
same "the log has the range too" "$(json points "c['ranges'][-1]['from'] + ' ' + c['ranges'][-1]['from_lsn']")" \
    "$(grep -F 'recoverable without a hole' "$scratch/daemon.log" | sed -n 's/.* from=\([^ ]*\) .*from_lsn=\([^ ]*\) .*/\1 \2/p' | tail -n 1)"
same "healthz" "200 ok" "$(status http://localhost/healthz) $(cat "$scratch/body")"
same "livez" 200 "$(status http://localhost/livez)"
same "other paths" 404 "$(status http://localhost/../etc/passwd)"
same "other methods" 405 "$(status -X POST -d x http://localhost/metrics)"
same "HEAD" 200 "$(status -I http://localhost/metrics)"
check "a silent client keeps nobody out" bash -c "
    python3 -c \"
import socket, time
held = [socket.socket(socket.AF_UNIX) for _ in range(8)]
for s in held: s.connect('$scratch/metrics.sock'); s.send(b'GET /metrics HTTP/1.1\\\\r\\\\n')
time.sleep(3)\" & sleep 1; curl -sS --max-time 2 --unix-socket '$scratch/metrics.sock' http://localhost/livez"

# ---- Found by the daemon, and covered by the backup that it takes --------------------------------
lost=$(stored | tail -n 3 | head -n 1)
rm "$wal/$lost"
SECONDS=0
wait_for 60 "the gap in the log" logged "$lost"
took=$SECONDS
check "a deleted segment is missed within a minute" test "$took" -lt 60
echo "# found after $took s"
check "... at error level, with positions and commits" grep -qE \
    "level=error message=\"gap in the WAL\" .*segments=1 .*missing_from=0/[0-9A-F]+ .*can't be recovered" "$scratch/daemon.log"
wait_for 60 "the backup that covers it" has_backup 2
is_covered() { [ "$(json points "$states")" = "$1 covered" ]; }
wait_for 30 "the covered gap" is_covered "$lost"
both "the backup that the daemon takes covers it" "$lost covered" "$states"
wait_for 20 "the end of the gap in the log" grep -qF 'a backup covers the gap' "$scratch/daemon.log"
same "it is told once" 1 "$(grep -cF 'message="gap in the WAL"' "$scratch/daemon.log")"
both "there are two ranges" 2 "len(c['ranges'])"
wait_for 10 "the covered gap in the metrics" has_gaps "0 0 1 0 "
same "metrics count it as covered" "0 0 1 0 " "$(gaps)"
check "verify has nothing to say" backup verify

# ---- Told by everybody, acknowledged ------------------------------------------------------------
segments 6
check "the daemon stops" daemon_stop
second=$(stored | tail -n 4 | head -n 1)
third=$(stored | tail -n 3 | head -n 1)
rm "$wal/$second" "$wal/$third"
open="$lost covered $second open"
both "an open gap" "$open" "$states"
both "... named to its last segment" "$third 2" "f\"{c['gaps'][1]['last_segment']} {c['gaps'][1]['segments']}\""
check "gap list says what is lost" grep -qE "$second +open" <<<"$(backup gap list)"
check "points has it for people" grep -qE "main +$second +$third +2 .* open" <<<"$(restore points)"
check "list has it for people" grep -qE "main +$second +$third +2 .* open" <<<"$(backup list)"
refuse "verify reports it" 10 "wal/main/[0-9a-f]+/00000001/$second: MISSING: gap: WAL of timeline 1" backup verify
refuse "an acknowledgement needs a reason" 2 'reason' backup gap ack "$second"
refuse "... that says something" 2 'reason' backup gap ack "$second" --reason ''
refuse "what is no gap can't be acknowledged" 8 'gap list' backup gap ack 0000000100000000000000FF --reason x
both "nothing of that counted" "$open" "$states"
check "gap ack" backup gap ack "$second" --reason 'removed by the test' --who 'Ayşe'
acknowledged="$lost covered $second acknowledged"
both "an acknowledged gap stays visible" "$acknowledged" "$states"
both "... with name and reason" "Ayşe: removed by the test" \
    "c['gaps'][1]['acknowledged']['who'] + ': ' + c['gaps'][1]['acknowledged']['reason']"
same "... by a record in the repository" 1 "$(find "$repository/audit/main" -type f | wc -l)"
check "verify counts it no more" backup verify
must rm -rf "$scratch/state"
both "a catalog made anew knows all that" "$acknowledged" "$states"

daemon_start
wait_for 30 "the daemon" sh -c "[ \$(grep -cF 'message=\"streaming WAL\"' '$scratch/daemon.log') = 2 ]"
sleep 8
same "metrics count it as acknowledged" "0 1 1 0 " "$(gaps)"
same "... and its segments as missing" 2 "$(metric missing_segments)"
same "healthz is content" 200 "$(status http://localhost/healthz)"
same "an acknowledged gap raises no alarm" 1 "$(grep -cF 'message="gap in the WAL"' "$scratch/daemon.log")"
same "... and takes no backup" 2 "$(backups)"
check "a backup by hand" backup backup
both "... covers it" "$lost covered $second covered" "$states"

# ---- A hole among the parts of the segment at hand -----------------------------------------------
segments 2
sql data -c "INSERT INTO t VALUES (100)"
catch_up data
sql data -c "INSERT INTO t VALUES (101)"
catch_up data
sql data -c "INSERT INTO t VALUES (102)"
catch_up data
check "the daemon stops again" daemon_stop
check "its socket is gone" test ! -e "$scratch/metrics.sock"
parts=$(cd "$wal" && ls | grep -E '^[0-9A-F]{24}\.' | sort)
part=$(tail -n 2 <<<"$parts" | head -n 1)
if [ "$(wc -l <<<"$parts")" -ge 3 ]; then
    rm "$wal/$part"
    both "a hole among parts is a gap" "${part%%.*} open" \
        "' '.join(g['first_segment'] + ' ' + g['state'] for g in c['gaps'][-1:])"
else
    not_ok "parts of the segment at hand: $parts"
fi
