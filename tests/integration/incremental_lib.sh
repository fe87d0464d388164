# shellcheck shell=bash
# Sourced behind lib.sh by tests of backups that take pages from the last one.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

json_text() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$scratch/backup.json"; }
json_number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$scratch/backup.json"; }
# take [options]: a backup; its description is in backup.json, what it said in backup.log
take() {
    backup backup --json "$@" >"$scratch/backup.json" 2>"$scratch/backup.log" || {
        not_ok "backup $*" "$scratch/backup.log"
        return 1
    }
}
said() { # said WHAT PATTERN: of the last backup
    if grep -qE -- "$2" "$scratch/backup.log"; then ok "$1"; else not_ok "$1 (not said: $2)" "$scratch/backup.log"; fi
}
inherited() { [ "$(json_number inherited_pages)" -gt "${1:-0}" ]; }
# restore_copy WHAT [TARGET]: the last backup, or what the options say, is in $scratch/copy
restore_copy() {
    local what=$1 map=(); shift
    rm -rf "$scratch/copy" "$scratch/copy_fast"
    if [ -d "$scratch/fast" ]; then # the tablespace, where the test has one
        mkdir -m 700 "$scratch/copy_fast"; chown "$user" "$scratch/copy_fast"
        map=(--tablespace-map "$scratch/fast=$scratch/copy_fast")
    fi
    restore pg --to "$scratch/copy" --cluster "$cluster" "${map[@]}" "${@:---immediate}" \
        >"$scratch/restore.log" 2>&1 || { not_ok "$what: restore" "$scratch/restore.log"; return 1; }
}
# compare WHAT PG: the last backup, restored, is what the server has
compare() {
    restore_copy "$1" && check "$1" python3 "$here/incremental.py" compare "$scratch/$2" "$scratch/copy"
}
# sound WHAT: the restored copy, recovered, is right to PostgreSQL's own eyes. It is stopped then.
sound() {
    start_restored copy || return 1
    check "$1: pg_amcheck" "$pg_bin/pg_amcheck" --all --heapallindexed --install-missing -h "$scratch" -p "${port_of[copy]}" -U postgres
    pg_stop copy fast
    check "$1: pg_checksums" as "$pg_bin/pg_checksums" --check -D "$scratch/copy"
}
still() { sql "$1" -c CHECKPOINT; } # nothing is left to write
