#!/bin/bash
# What a restore costs after many backups, each of which took most pages from the one before.
#
#     fragmentation.sh [BACKUPS [SCALE [PERCENT]]]     default 500 10 2: some ten minutes
#
# A pgbench database of SCALE (15 MB each); before each backup some PERCENT of its accounts' pages
# change at random. Prints a line of Markdown now and then: restores of the first and of the newest
# backup in turn, medians of three, with the share of pages in use.
# shellcheck source-path=SCRIPTDIR
HQ_BUILD=${HQ_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build/release/bin}
export HQ_BUILD
. "$(dirname "$0")/../integration/lib.sh"
count=${1:-500} scale=${2:-10} percent=${3:-2}

pg_init live
printf "autovacuum = off\nmax_wal_size = 8GB\nshared_buffers = 512MB\nwal_compression = on\n" >>"$scratch/live/postgresql.conf"
pg_stop live fast; pg_start live
must as "$pg_bin/pgbench" -i -q -F 70 -s "$scale" -h "$scratch" -p "${port_of[live]}" -U postgres postgres
hq_init
hq_config live <<'YAML'
backup:
  schedule: ""
YAML
sed -i "s|^  slot: .*|&\n  data_directory: $scratch/live|" "$config"
must backup backup
first=$(restore points --cluster main --json | grep -o '"backup": *"[^"]*"' | tail -n 1 | cut -d'"' -f4)
daemon_start
sql live -c CHECKPOINT

# one BACKUP: wall and CPU seconds of a restore, "1.23 4.56"
one() {
    rm -rf "$scratch/copy"
    local times
    times=$( { TIMEFORMAT='%R %U %S'; time as "$scratch/bin/hq-restore" pg --repository "$repository" \
        --key "$scratch/restore.key" --cluster main --backup "$1" --immediate --to "$scratch/copy" >/dev/null 2>&1; } 2>&1)
    echo "$times" | awk '{print $1, $2 + $3}'
}
median() { sort -n | sed -n 2p; }
compare() {
    local newest=$1 i
    : >"$scratch/first"; : >"$scratch/newest"
    for i in 1 2 3; do one "$first" >>"$scratch/first"; one "$newest" >>"$scratch/newest"; done
    awk -v n="$2" -v used="$3" -v fw="$(cut -d' ' -f1 "$scratch/first" | median)" -v nw="$(cut -d' ' -f1 "$scratch/newest" | median)" \
        -v fc="$(cut -d' ' -f2 "$scratch/first" | median)" -v nc="$(cut -d' ' -f2 "$scratch/newest" | median)" \
        'BEGIN {printf "| %d | %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", n, used, fw, nw, nw / fw, fc, nc, nc / fc}'
}
echo "| backups | pages in use | first: s | newest: s | ratio | first: CPU s | newest: CPU s | ratio |"
echo "|---|---|---|---|---|---|---|---|"
for n in $(seq "$count"); do
    # A page of pgbench_accounts holds some 61 rows: one row in each page that is to change.
    sql live -c "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN
        (SELECT 1 + (random() * $scale * 99999)::int FROM generate_series(1, $scale * 1640 * $percent / 100))" -c CHECKPOINT
    backup backup --json >"$scratch/backup.json" 2>"$scratch/backup.log" || { cat "$scratch/backup.log"; exit 1; }
    case $n in 1|2|5|10|20|50|100|150|200|300|400|"$count")
        newest=$(grep -o '"backup": *"[^"]*"' "$scratch/backup.json" | cut -d'"' -f4)
        compare "$newest" "$n" "$(sed -n 's/.*"inherited_pages": *\([0-9]*\).*/\1/p' "$scratch/backup.json")" ;;
    esac
done
backup verify | sed -n '/^pages in use/p'
