#!/bin/bash
# recovery.sh [--json]: PostgreSQL recovering 100 and more segments of WAL: restore_command =
# hq-restore wal-get, beside plain `cp` of the files and pgBackRest's archive-get (asynchronous, two
# processes), from a directory and from a Ceph RGW. The same base, the same WAL, one after the other.
# The wall time is from the first restore_command to the end of redo, by the server's log; CPU is of
# all processes together.
#
# Environment: HQ_SEGMENTS (default 110), HQ_STORES (default "directory rgw"), HQ_RUNS (3), HQ_BUILD,
# HQ_PG_BIN. Needs some 8 GB in /tmp.
. "$(dirname "$0")/lib.sh"
segments=${HQ_SEGMENTS:-110}
stores=${HQ_STORES:-directory rgw}

start_cluster() {
    pg_init data
    cat >>"$scratch/data/postgresql.conf" <<'CONF'
shared_buffers = 512MB
fsync = on
max_wal_size = 8GB
checkpoint_timeout = 1h
synchronous_commit = off
wal_keep_size = 20GB
archive_mode = on
archive_command = '/bin/false'
log_line_prefix = '%n '
CONF
    must pg_stop data fast
    pg_start data
    must pgbench -i -q -s 20
}
# Small transactions, and from time to time a change of many rows.
fill() {
    local first part=0
    first=$(sql data -c "SELECT pg_current_wal_insert_lsn()")
    while [ "$(sql data -c "SELECT floor((pg_current_wal_insert_lsn() - '$first') / 16777216)")" -lt "$segments" ]; do
        must pgbench -n -c 4 -T 4
        sql data -c "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 10 = $part"
        part=$(((part + 1) % 10))
    done
    target=$(sql data -c "SELECT pg_logical_emit_message(false, 'bench', 'the target')")
    sql data -c "CREATE TABLE behind_the_target ()" -c "SELECT pg_switch_wal()" >/dev/null
    say "$segments segments of WAL, up to $target"
}

# A base in each repository first, then the WAL, which each repository's slot holds until it is asked.
prepare() {
    local store
    for store in $stores; do
        use "$store"
        hq_write_config 1s info
        must backup backup --quiet
    done
    fill
    for store in $stores; do
        use "$store"
        hq_daemon_up 1s info
        catch_up data
        daemon_stop
        as cp "$scratch/pgbackrest-$store.conf" "$scratch/pgbackrest.conf"
        push >"$scratch/out" 2>&1 || { not_ok "pgBackRest archive-push" "$scratch/out"; exit 1; }
        say "$store is filled"
    done
    as mkdir "$scratch/plain"
    as sh -c "cp '$scratch/data/pg_wal/'????????????????????????  '$scratch/plain/'"
    pg_stop data fast
}
fresh_spool() { as rm -rf "$scratch/peer-spool"; as mkdir "$scratch/peer-spool"; }
push() {
    local ready
    fresh_spool # it says what is archived already
    ready=$(find "$scratch/data/pg_wal/archive_status" -name '????????????????????????.ready' | wc -l)
    as /usr/bin/python3 "$here/push_ready.py" "$scratch/data" "$ready" "$(peer_command) archive-push %p"
}
# use STORE: the repository made for it
declare -A repository_of yaml_of
make() {
    hq_store "$1" bench
    mkdir "$scratch/keys-$1"
    mv "$scratch"/*.key "$scratch/keys-$1/"
    chmod 755 "$scratch/keys-$1"
    repository_of[$1]=$repository yaml_of[$1]=$store_yaml
    peer_init "$1"
    as cp "$scratch/pgbackrest.conf" "$scratch/pgbackrest-$1.conf"
}
use() {
    repository=${repository_of[$1]} store_yaml=${yaml_of[$1]} slot=hq_$1
    credentials=()
    [ "$1" = directory ] || credentials=(--access-key-file "$access" --secret-key-file "$secret")
    as cp "$scratch/keys-$1/"*.key "$scratch/"
}

# One recovery of $scratch/r. recover ROW
recover() {
    local wall cpu
    sync
    read -r wall cpu < <(as /usr/bin/python3 "$here/recover.py" "$pg_bin/postgres" "$scratch/r" "$scratch/r.log")
    [ -n "${cpu:-}" ] || { not_ok "$1" "$scratch/r.log"; exit 1; }
    figure "$1" "wall s" "$wall"
    figure "$1" "CPU s" "$cpu"
    say "$1: $wall s, $cpu s of CPU"
    rm -rf "$scratch/r"
    as rm -f "$scratch/r.log"
}
# What the restore staged is a head start that others do not have: with it and without.
ours() { # ours STORE staged|alone
    local row="hq-restore wal-get, $1, nothing staged" staged=$scratch/r/hq_restore/prefetch
    use "$1"
    must restore pg --quiet --cluster main --to "$scratch/r" --target-lsn "$target" --target-action promote
    [ -d "$scratch/base" ] || must as cp -a "$scratch/r" "$scratch/base"
    if [ "$2" = staged ]; then
        row="hq-restore wal-get, $1, $(find "$staged" -name '????????????????????????' | wc -l) segments staged"
    else
        find "$staged" -name '????????????????????????' -delete
    fi
    recover "$row"
}
# theirs ROW COMMAND: on the same base
theirs() {
    must as cp -a "$scratch/base" "$scratch/r"
    as rm -rf "$scratch/r/hq_restore"
    echo "restore_command = '$2'" >>"$scratch/r/postgresql.auto.conf"
    echo "recovery_end_command = ''" >>"$scratch/r/postgresql.auto.conf"
    recover "$1"
}

case $stores in *rgw*) rgw_up ;; esac
start_cluster
for store in $stores; do make "$store"; done
prepare
for run in $(seq "$runs"); do
    for store in $stores; do
        ours "$store" alone
        ours "$store" staged
        theirs cp "cp $scratch/plain/%f \"%p\""
        fresh_spool
        theirs "pgBackRest archive-get async, $store" \
            "pgbackrest --config=$scratch/pgbackrest-$store.conf --stanza=main --pg1-path=$scratch/r archive-get %f \"%p\""
    done
done
report "Recovery of $segments segments of 16 MiB"
