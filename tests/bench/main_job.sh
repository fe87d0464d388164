#!/bin/bash
# The main job's figures, side by side with PostgreSQL's own pg_basebackup in one run: wall time, CPU
# seconds and peak memory of a base backup; of its restore; delay from commit to the store under
# pgbench. Prints a table in Markdown.
#
#     HQ_BUILD=build/release/bin bash tests/bench/main_job.sh [SCALE]     scale 150 is some 2.2 GB
HQ_BUILD=${HQ_BUILD:-build/release/bin}
. "$(dirname "$0")/../integration/lib.sh"
scale=${1:-150}
runs=${HQ_RUNS:-3}
seconds=${HQ_SECONDS:-30}

pg_init data
cat >>"$scratch/data/postgresql.conf" <<'CONF'
shared_buffers = 512MB
max_wal_size = 4GB
CONF
must pg_stop data fast
pg_start data
must "$pg_bin/pgbench" -i -q -s "$scale" -h "$scratch" -p "${port_of[data]}" -U postgres postgres
sql data -c CHECKPOINT
size=$(sql data -c "SELECT sum(pg_database_size(oid)) FROM pg_database")
hq_init
hq_config data <<YAML
backup:
  schedule: ""
YAML

# measure COMMAND...: "wall-seconds cpu-seconds peak-KiB" on standard output
measure() {
    /usr/bin/python3 - "$@" <<'PY'
import os, resource, subprocess, sys, time
began = time.monotonic()
with open(os.devnull, "wb") as null:
    status = subprocess.call(sys.argv[1:], stdout=null, stderr=null)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if status != 0:
    sys.exit(f"{sys.argv[1]} ended with {status}")
print(f"{wall:.2f} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss}")
PY
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# row NAME BYTES FILE: medians of the lines in FILE
row() {
    local wall cpu memory
    wall=$(awk '{print $1}' "$3" | median)
    cpu=$(awk '{print $2}' "$3" | median)
    memory=$(awk '{print $3}' "$3" | median)
    awk -v n="$1" -v b="$2" -v w="$wall" -v c="$cpu" -v m="$memory" \
        'BEGIN { printf "| %s | %.2f | %.2f | %.0f | %.0f |\n", n, w, c, b / w / 1e6, m / 1024 }'
}

daemon_start
wait_for 20 "the daemon" grep -q 'streaming WAL' "$scratch/daemon.log"
for _ in $(seq "$runs"); do
    measure "${become[@]}" "$pg_bin/pg_basebackup" -h "$scratch" -p "${port_of[data]}" -U postgres -Ft -D - -X none -c fast >>"$scratch/peer"
    measure "${become[@]}" "$scratch/bin/hq-backup" backup --quiet --config "$config" >>"$scratch/next"
    if [ ! -s "$scratch/first" ]; then mv "$scratch/next" "$scratch/first"; fi
done
stored=$(du -sb "$repository" | cut -f 1)
for _ in $(seq "$runs"); do
    rm -rf "${scratch:?}/r"
    measure "${become[@]}" "$scratch/bin/hq-restore" pg --quiet --repository "$repository" --key "$scratch/restore.key" --cluster main --to "$scratch/r" --latest >>"$scratch/restored"
done
rm -rf "${scratch:?}/r"

# Delay: the time of each commit against the moment the repository covers it, polled.
daemon_stop
sed -i 's/^backup:$/log:\n  level: debug\nbackup:/' "$config"
: >"$scratch/daemon.log"
daemon_start
wait_for 20 "the daemon" grep -q 'streaming WAL' "$scratch/daemon.log"
"$pg_bin/pgbench" -c 4 -T "$seconds" -h "$scratch" -p "${port_of[data]}" -U postgres postgres >"$scratch/pgbench" 2>&1
daemon_memory=$(awk '/VmHWM/ {print $2}' "/proc/$daemon/status")
daemon_stop
grep -oE 'delay_us=[0-9]+' "$scratch/daemon.log" | cut -d= -f2 | sort -n >"$scratch/delays"

echo "Cluster of $((size / 1000000)) MB, $(nproc) cores, medians of $runs runs; repository $((stored / 1000000)) MB."
echo
echo "| | wall s | CPU s of the client | MB/s | peak MiB |"
echo "|---|---|---|---|---|"
row "pg_basebackup -Ft -D - (thrown away)" "$size" "$scratch/peer"
row "hq-backup backup, first" "$size" "$scratch/first"
row "hq-backup backup, nothing changed" "$size" "$scratch/next"
row "hq-restore pg" "$size" "$scratch/restored"
echo
awk '{ v[NR] = $1 } END { if (NR) printf "WAL delay, server sending the oldest byte to durable in the store, %d puts: median %.0f ms, maximum %.0f ms\n", NR, v[int((NR + 1) / 2)] / 1000, v[NR] / 1000 }' "$scratch/delays"
grep -E '^tps' "$scratch/pgbench"
echo "hq-backupd peak memory: $((daemon_memory / 1024)) MiB"
