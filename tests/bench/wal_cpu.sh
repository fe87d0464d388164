#!/bin/bash
# wal_cpu.sh [--json]: CPU milliseconds to receive, compress, seal and store a WAL segment of 16 MiB,
# beside pgBackRest's asynchronous archive-push (zstd 1, aes-256-cbc) of the same segments, into a
# directory; of pgbench's WAL and of WAL full of JSON documents.
#
# Environment: HQ_SEGMENTS (default 100), HQ_RUNS (3), HQ_BUILD, HQ_PG_BIN. HQ_PERF=FILE writes a
# profile of the daemon's first run there (perf record). Needs some 6 GB in /tmp.
. "$(dirname "$0")/lib.sh"
segments=${HQ_SEGMENTS:-100}

start_cluster() {
    pg_init data
    cat >>"$scratch/data/postgresql.conf" <<'CONF'
shared_buffers = 512MB
max_wal_size = 2GB
checkpoint_timeout = 1min
synchronous_commit = off
wal_keep_size = 20GB
archive_mode = on
archive_command = '/bin/false'
CONF
    must pg_stop data fast
    pg_start data
}
written() { sql data -c "SELECT floor((pg_current_wal_insert_lsn() - '$first')::numeric / 16777216)"; }

# Observations as a hospital's interface engine stores them: repeated structure, random content.
json_load() {
    sql data >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS observation (id bigserial PRIMARY KEY, patient uuid, doc jsonb);
CREATE INDEX IF NOT EXISTS observation_patient ON observation (patient);
INSERT INTO observation (patient, doc)
SELECT p, jsonb_build_object(
    'resourceType', 'Observation', 'status', 'final', 'id', gen_random_uuid(),
    'code', jsonb_build_object('coding', jsonb_build_array(jsonb_build_object('system',
        'http://loinc.org', 'code', (1000 + random() * 90000)::int || '-' || n % 10,
        'display', (ARRAY['Hemoglobin', 'Glukoz', 'Creatinina', 'Potasyum', 'Sodio'])[1 + n % 5]))),
    'subject', jsonb_build_object('reference', 'Patient/' || p),
    'effectiveDateTime', now() - random() * interval '400 days',
    'performer', jsonb_build_array(jsonb_build_object('reference', 'Practitioner/' || n % 700)),
    'valueQuantity', jsonb_build_object('value', round((random() * 300)::numeric, 2),
        'unit', (ARRAY['g/dL', 'mg/dL', 'mmol/L'])[1 + n % 3]),
    'note', (SELECT string_agg((ARRAY['hasta', 'stabil', 'control', 'tedavi', 'dolor', 'kan',
        'sin', 'cambios', 'ilaç', 'günlük', 'paciente', 'yarın'])[1 + (random() * 11)::int], ' ')
        FROM generate_series(1, 10 + n % 30)))
FROM (SELECT n, gen_random_uuid() AS p FROM generate_series(1, 20000) AS n) AS rows;
UPDATE observation SET doc = jsonb_set(doc, '{status}', '"amended"')
WHERE id IN (SELECT id FROM observation ORDER BY random() LIMIT 2000);
SQL
}
pgbench_load() { must pgbench -n -c 4 -T 5; }

# fill LOAD: a slot that keeps all from here on, then that load until the segments are full
fill() {
    # A new slot begins at the last checkpoint.
    sql data -c "SELECT pg_switch_wal()" >/dev/null
    sql data -c CHECKPOINT
    sql data -c "SELECT pg_create_physical_replication_slot('keep', true)" >/dev/null
    first=$(sql data -c "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'keep'")
    while [ "$(written)" -lt $((segments + 1)) ]; do "$1"; done
    last=$(sql data -c "SELECT '$first'::pg_lsn - ('$first'::pg_lsn - '0/0') % 16777216 + $segments * 16777216::numeric")
    say "$1: $(written) segments from $first"
}

streamed() { [ "$(sql data -c "SELECT restart_lsn >= '$last' FROM pg_replication_slots WHERE slot_name = 'hq_test'")" = t ]; }
# The daemon finds all of the segments in its slot; its CPU time counts from its start.
ours() {
    local began ended sender stored
    hq_store directory "$1"
    sql data -c "SELECT pg_copy_physical_replication_slot('keep', 'hq_test')" >/dev/null
    began=$(date +%s.%N)
    hq_daemon_up 1s info
    sender=$(sql data -c "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'hq_test'")
    profile_start "$1"
    wait_for 300 "$segments segments" streamed || exit 1
    ended=$(date +%s.%N)
    record "$row hq-backupd" "$(ticks "$daemon")" "$(awk "BEGIN { print $ended - $began }")"
    figure "$row hq-backupd" "walsender's CPU ms" "$(awk "BEGIN { print $(ticks "$sender") / $segments }")"
    profile_stop
    daemon_stop
    stored=$(find "$repository/wal" -name '????????????????????????' | wc -l)
    [ "$stored" -ge "$segments" ] || { not_ok "$stored segments in the repository"; exit 1; }
    figure "$row hq-backupd" "stored MiB" "$(du -sm "$repository/wal" | cut -f 1)"
    sql data -c "SELECT pg_drop_replication_slot('hq_test')" >/dev/null
    rm -rf "$repository"
}
peer() {
    local wall cpu
    peer_init directory
    read -r wall cpu < <(as /usr/bin/python3 "$here/push_ready.py" "$scratch/data" "$segments" "$(peer_command) archive-push %p")
    [ -n "${cpu:-}" ] || { not_ok "pgBackRest archive-push"; exit 1; }
    record "$row pgBackRest archive-push, async" "$(awk "BEGIN { print $cpu * 1000 }")" "$wall"
    figure "$row pgBackRest archive-push, async" "stored MiB" "$(du -sm "$scratch/peer-directory/archive" | cut -f 1)"
    rm -rf "$scratch/peer-directory"
}
# The same segments by archive_command: with the daemon, whose CPU time counts too, and without.
pushed() { # pushed NAME daemon|alone
    local wall cpu label="$row wal-push, hq-backupd runs" before=0 after=0
    hq_store directory "$1"
    rm -rf "$scratch/state"
    hq_config data "$store_yaml" <<YAML
wal: {source: push}
backup: {schedule: ""}
YAML
    if [ "$2" = daemon ]; then
        daemon_start
        wait_for 60 "the daemon" backup status || exit 1
        before=$(ticks "$daemon")
    else
        label="$row wal-push, alone"
    fi
    read -r wall cpu < <(as /usr/bin/python3 "$here/push_ready.py" "$scratch/data" "$segments" "$scratch/bin/hq-backup wal-push --config $config %p")
    [ -n "${cpu:-}" ] || { not_ok "hq-backup wal-push"; exit 1; }
    if [ "$2" = daemon ]; then
        after=$(ticks "$daemon")
        daemon_stop
    fi
    record "$label" "$(awk "BEGIN { print $cpu * 1000 + $after - $before }")" "$wall"
    figure "$label" "stored MiB" "$(du -sm "$repository/wal" | cut -f 1)"
    rm -rf "$repository"
}
# Receiving and writing alone, without compressing, sealing or a store: what is the least.
receiver() {
    local wall cpu
    sql data -c "SELECT pg_copy_physical_replication_slot('keep', 'bare')" >/dev/null
    as mkdir "$scratch/bare"
    read -r wall cpu < <(as /usr/bin/python3 "$here/timed.py" "$pg_bin/pg_receivewal" -h "$scratch" -p "${port_of[data]}" -U postgres -D "$scratch/bare" -S bare --synchronous --endpos "$last" --no-loop)
    record "$row pg_receivewal --synchronous (plain files)" "$(awk "BEGIN { print $cpu * 1000 }")" "$wall"
    sql data -c "SELECT pg_drop_replication_slot('bare')" >/dev/null
    rm -rf "$scratch/bare"
}
record() { # record ROW CPU-MILLISECONDS WALL-SECONDS
    figure "$1" "CPU ms/segment" "$(awk "BEGIN { print $2 / $segments }")"
    figure "$1" "wall s" "$3"
    say "$1: $(awk "BEGIN { print $2 / $segments }") ms of CPU a segment, $3 s"
}
profile_start() {
    perf=
    [ -n "${HQ_PERF:-}" ] && [ ! -e "$HQ_PERF" ] || return 0
    perf record -q -F 999 -g -o "$HQ_PERF" -p "$daemon" 2>"$scratch/perf.log" &
    perf=$!
}
profile_stop() {
    [ -z "$perf" ] || { kill -INT "$perf"; wait "$perf"; }
}

start_cluster
must pgbench -i -q -s 20
for load in pgbench_load json_load; do
    row="${load%_load}:"
    fill "$load"
    for run in $(seq "$runs"); do
        ours "$load-$run"
        pushed "$load-push-$run" daemon
        pushed "$load-alone-$run" alone
        peer
        receiver
    done
    sql data -c "SELECT pg_drop_replication_slot('keep')" >/dev/null
    as rm -f "$scratch/data/pg_wal/archive_status/"*.ready
done
report "CPU to archive $segments WAL segments of 16 MiB, in a directory"
