#!/bin/bash
# What the programs say to people and scripts: helps, one JSON object whatever happens, advice that
# leads somewhere.
. "$(dirname "$0")/lib.sh"

# says WHAT PATTERN: the output of the last command has it
says() { if grep -qE -- "$2" "$scratch/out"; then ok "$1"; else not_ok "$1" "$scratch/out"; fi; }
# one_object WHAT STATUS COMMAND...: that status, and one JSON object on standard output
one_object() {
    local what=$1 wanted=$2 status; shift 2
    "$@" >"$scratch/json" 2>"$scratch/err"
    status=$?
    same "$what: status" "$wanted" "$status"
    check "$what: one object" python3 -c "import json, sys; json.load(open('$scratch/json'))"
}
program=$scratch/bin/hq-backup

# ---- Without a site ------------------------------------------------------------------------------
for group in gap lineage key catalog; do
    check "$group --help" "$program" $group --help
    says "... lists its commands" "^  $group [a-z]+ "
done
refuse "a group alone" 2 'one of list, ack must follow' "$program" gap
for each in hq-backup hq-backupd hq-restore; do check "$each -V" "$scratch/bin/$each" -V; done

# ---- A site whose server is not there, then one that is new --------------------------------------
pg_init data
hq_init
hq_config data </dev/null
pg_stop data fast
one_object "check --json on a stopped server" 1 backup check --json
check "... has what failed" python3 -c "
import json
r = json.load(open('$scratch/json'))
assert r['ok'] is False and [c for c in r['checks'] if not c['ok']][0]['hint'] is not None"
pg_start data
check "an empty list" backup list
says "... says so, and what to do" '^No backups yet.*hq-backup backup'
check "check on a new site" backup check
says "... says that it made the slot" 'replication slot: hq_test was missing and is made now; it keeps WAL'
check "... and only once" backup check
says "... as its second run shows" 'replication slot: hq_test is there'
daemon_start
wait_for 60 "the first backup" has_backup 1
catch_up data
known() { backup status | grep -q '^Recoverable without a hole'; }
wait_for 30 "what is recoverable" known
check "status" backup status --quiet
says "... says what is recoverable" '^Recoverable without a hole: from .* to '
says "... and that there is no gap" '^No gaps in the WAL'
# The last but one of three new segments goes.
lose_a_segment() {
    local n
    for n in 1 2 3; do sql data -c "INSERT INTO t VALUES ($n)" -c "SELECT pg_switch_wal()" >/dev/null; done
    catch_up data
    daemon_stop
    rm "$(ls "$repository"/wal/main/*/00000001/* | grep -E '/[0-9A-F]{24}$' | tail -n 2 | head -n 1)"
}
sql data -c "CREATE TABLE t (n int)"
lose_a_segment
daemon_start
gap_is_told() { backup status | grep -qE '^Gaps in the WAL: ([1-9] open|.* [1-9] covered)'; }
wait_for 60 "the gap" gap_is_told && ok "status shows gaps"
one_object "status --json" 0 backup status --json
check "... counts them" python3 -c "
import json
r = json.load(open('$scratch/json'))['recoverable']
assert r['open_gaps'] + r['covered_gaps'] == 1, r"
wait_for 60 "the backup that covers it" has_backup 2
catch_up data
lose_a_segment
one_object "verify --json that finds something" 10 backup verify --json
check "... in words on standard error" grep -q 'problems in' "$scratch/err"
