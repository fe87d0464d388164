#!/bin/sh
# run.sh TARGET CORPUS SECONDS: fuzz for so long, from the seeds in the tree, leaving them as they are.
set -eu
found=$(mktemp -d /tmp/hq-fuzz.XXXXXX)
trap 'rm -rf "$found"' EXIT
mkdir "$found/new"
[ -d "$2" ] || { echo "no corpus $2" >&2; exit 1; }
"$1" -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$found/" "$found/new" "$2" 2>&1 | tail -n 30
ls "$found" | grep -v '^new$' | while read -r crash; do
    echo "input that fails: $crash"; od -An -tx1 "$found/$crash" | head -n 40
done
[ -z "$(ls "$found" | grep -v '^new$')" ]
