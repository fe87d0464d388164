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
refuse "a backup that is not there" 8 "cluster main has no backup 20260101T000000Z-00000000" backup show 20260101T000000Z-00000000
says "... says where to look" 'hint: `hq-backup list` shows them'
check "points" restore points
says "... has the backup's name" "^main +20[0-9]{6}T[0-9]{6}Z-[0-9a-f]{8} +20.* complete"
check "a plan" restore plan --cluster main
says "... says what it did not do" 'Objects were looked for, not read: `hq-backup verify` reads them'
refuse "a time that there is not" 2 "no such day or hour" restore plan --cluster main --target-time '2026-11-21 15:99'
says "... says how to write one" 'write it as "2026-11-21 03:04:05'
pg_stop data fast
slot_is_old() { backup status | grep -qE '^The slot held back .* of WAL at 20.*, when the server answered last'; }
wait_for 30 "the governor's next look" slot_is_old && ok "status says how old the slot's figure is while the server is down"
pg_start data
slot_is_new() { backup status | grep -q '^The slot holds back'; }
wait_for 60 "the slot's state" slot_is_new && ok "and that it is new when it is up"
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
check "... in words on standard error" grep -qE '(^| )(1 problem|[0-9]+ problems) in' "$scratch/err"
daemon_start
wait_for 60 "a backup behind the gap" has_backup 3
catch_up data
daemon_stop

# ---- What is said of a backup ---------------------------------------------------------------------
hq_config data </dev/null
check "a backup" backup backup
says "... says that it needs no other" '^It is complete by itself; [0-9]+ of [0-9]+ pages were stored already by backup 20'
says "... and that its slot stays, with nobody to move it" "slot hq_test keeps WAL on the server .*start it soon, or drop the slot: SELECT pg_drop_replication_slot\('hq_test'\)$"
check "one that takes nothing from it" backup backup --full-read
says "... says so of its pages" '^It is complete by itself; no backup vouched for any of its [1-9][0-9]* pages'
one_object "backup --json" 0 backup backup --json
cp "$scratch/json" "$scratch/told"
one_object "show --json of it" 0 backup show "$(python3 -c "import json; print(json.load(open('$scratch/told'))['backup'])")" --json
check "... has the same facts under the same names" python3 -c "
import json
told, shown = json.load(open('$scratch/told')), json.load(open('$scratch/json'))
same = set(told) - {'found_by', 'inherited_pages', 'microseconds'}
assert same >= {'parent', 'pages', 'mode', 'started', 'finished', 'timeline', 'start_lsn', 'stop_lsn'}, same
assert told['parent'] and all(told[n] == shown[n] for n in same), (told, shown)"

# ---- Where backups are read ----------------------------------------------------------------------
hq_config data </dev/null
pg_init other
sed "s|^  slot:|  backup_connection: \"host=$scratch port=${port_of[other]} user=postgres\"\n  slot:|" "$config" >"$scratch/two.yaml"
chown "$user" "$scratch/two.yaml"
refuse "check tests cluster.backup_connection" 1 'FAILED backup connection: .* is system [0-9]+, .* of cluster.connection is' \
    as "$program" check --config "$scratch/two.yaml"
says "... and says what to do" 'do: name a standby of the same cluster'
sed -i "s|port=${port_of[other]} user|port=${port_of[data]} user|" "$scratch/two.yaml"
check "... and finds the right one" as "$program" check --config "$scratch/two.yaml"
says "... by name" '^ok +backup connection: PostgreSQL [0-9]+ at '

# ---- Keys, configurations and passphrases that are not right -------------------------------------
restore=$scratch/bin/hq-restore
refuse "a sidecar's key can't restore" 12 "sidecar.key is a sidecar's key: it backs up, and can't read data" \
    as "$restore" pg --repository "$repository" --key "$scratch/sidecar.key" --to "$scratch/r"
says "... and the right one is named" 'hint: give the restore key'
check "... before anything is written" test ! -e "$scratch/r"
refuse "no restore key" 8 'the incident team keeps it' as "$restore" points --repository "$repository" --key "$scratch/none.key"
refuse "no configuration" 8 'name the configuration file with --config' as "$program" list --config "$scratch/none.yaml"
sed 's|^key_file: .*|key_file: /none/sidecar.key|' "$config" >"$scratch/two.yaml"
refuse "no key file" 8 'hq-backup key sidecar' as "$program" list --config "$scratch/two.yaml"
refuse "a time that is none" 2 'time "yesterday": not understood$' as "$restore" plan --repository "$repository" \
    --key "$scratch/restore.key" --target-time yesterday
refuse "two passphrases that differ" 2 'the two passphrases differ' python3 "$top/tests/lab/type.py" ":|: " "one|two" "$program" init \
    --repository "$scratch/new" --region TR --writer test --sidecar-key "$scratch/s" --restore-key "$scratch/k"
says "... what to do then" 'type one passphrase twice'
same "... which is not to do without" 0 "$(grep -c no-passphrase "$scratch/out")"

# ---- A restored copy and the archive -------------------------------------------------------------
plan() { restore plan "$@"; }
check "plan" plan
says "... tells how far WAL is stored, as such" '^WAL +from 0/[0-9A-F]+; all that is stored reaches to 0/'
sql data -c "ALTER SYSTEM SET archive_mode = on" -c "ALTER SYSTEM SET archive_command = 'true'"
pg_stop data fast
pg_start data
must backup backup
check "a restore" restore pg --to "$scratch/r"
says "... warns of archive_mode" 'archive_mode is on: .*--archive off'
says "... in whole sentences" 'by itself, then opens for writing\.'
drop_restored r
check "a restore without archiving" restore pg --to "$scratch/r" --archive off
same "... has nothing to warn of" 0 "$(grep -c archive_mode "$scratch/out")"
if start_restored r; then same "... and a server that does not archive" off "$(sql r -c 'SHOW archive_mode')"; fi
drop_restored r
