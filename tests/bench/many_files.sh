#!/bin/bash
# Peak memory and CPU seconds of backups of a data directory with very many small files:
#
#     many_files.sh [FILES]     default 100000
#
# The first backup, which has everything to store, and two that find it stored.
# shellcheck source-path=SCRIPTDIR
HQ_BUILD=${HQ_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build/release/bin}
export HQ_BUILD
. "$(dirname "$0")/../integration/lib.sh"

pg_init live
as python3 - "$scratch/live/base" "${1:-100000}" <<'PY'
import os, sys
base, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    folder = f"{base}/{900000 + i // 1000}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/file-{i}", "wb") as file:
        file.write(os.urandom(2000))
PY
hq_init
hq_config live </dev/null
sed -i "s|^  slot: .*|&\n  data_directory: $scratch/live|" "$config"
echo "| backup | wall s | CPU s | peak MiB |"
echo "|---|---|---|---|"
for what in first second third; do
    as python3 - "$what" "$scratch/bin/hq-backup" backup --config "$config" <<'PY'
import resource, subprocess, sys, time
began = time.monotonic()
status = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if status != 0:
    sys.exit(f"the {sys.argv[1]} backup ended with {status}")
print(f"| {sys.argv[1]} | {time.monotonic() - began:.1f} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss // 1024} |")
PY
done
exit 0
