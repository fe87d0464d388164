# lib.sh: sourced by the benchmarks of WAL (bash): programs of the release build, a store, pgBackRest
# set up as a peer, figures collected over several runs. Everything lives in one scratch directory.
#
# Environment: HQ_BUILD (default build/release/bin), HQ_RUNS (default 3), HQ_PG_BIN.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HQ_BUILD=${HQ_BUILD:-$here/../../build/release/bin}
if [ ! -x "$HQ_BUILD/hq-backupd" ]; then
    echo "$HQ_BUILD has no programs: cmake --preset release && cmake --build --preset release" >&2
    exit 1
fi
. "$here/../integration/lib.sh"
unset "${!S3_@}" "${!HQ_S3_@}" "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
lab=$top/tests/lab
runs=${HQ_RUNS:-3}
json=
if [ "${1:-}" = --json ]; then json=--json; shift; fi
if [ $# -gt 0 ]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

say() { echo "$(date +%H:%M:%S) $*" >&2; }
# Programs by their directories: a server's CPU seconds are not to be a wrapper's.
pgbench() { "$pg_bin/pgbench" -h "$scratch" -p "${port_of[data]}" -U postgres "$@" postgres; }

# figure ROW COLUMN VALUE: one measurement of one run; COLUMN ends with its unit
figure() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$scratch/figures"; }
# report TITLE: the table on standard output
report() { /usr/bin/python3 "$here/report.py" $json --figures "$scratch/figures" --runs "$runs" --title "$1"; }

# ticks PID: user and system CPU milliseconds of a process so far, with the children it waited for
ticks() {
    awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13 + $14 + $15) * 1000 / hz }' \
        "/proc/$1/stat"
}

# ---- stores --------------------------------------------------------------------------------------
# The gateway is used over HTTPS by everybody.
rgw_up() {
    must "$lab/rgw-start.sh" "$scratch/rgw"
    . "$scratch/rgw/env"
    chmod 755 "$scratch/rgw"
    chmod 644 "$S3_CA"
    access=$scratch/access-key secret=$scratch/secret-key
    (umask 077; echo "$S3_ACCESS_KEY" >"$access"; echo "$S3_SECRET_KEY" >"$secret")
    chown "$user" "$access" "$secret"
}
receiver= # a pg_receivewal, which would wait for its server for ever
at_end() {
    [ -z "$receiver" ] || kill "$receiver" 2>/dev/null
    [ ! -d "$scratch/rgw" ] || "$lab/rgw-stop.sh" "$scratch/rgw"
}

# hq_store directory|rgw NAME: a new repository there; hq_config_in and restore use it
hq_store() {
    store=$1
    credentials=()
    rm -f "$scratch/sidecar.key" "$scratch/restore.key"
    if [ "$store" = directory ]; then
        repository=$scratch/repository-$2
        store_yaml=
        hq_init
        return
    fi
    repository="s3://$S3_BUCKET/$2?endpoint=$S3_TLS_ENDPOINT&ca=$S3_CA"
    credentials=(--access-key-file "$access" --secret-key-file "$secret")
    store_yaml="  endpoint: $S3_TLS_ENDPOINT
  ca_file: $S3_CA
  access_key_file: $access
  secret_key_file: $secret"
    export HQ_S3_ACCESS_KEY_FILE=$access HQ_S3_SECRET_KEY_FILE=$secret # for init alone
    hq_init
    unset HQ_S3_ACCESS_KEY_FILE HQ_S3_SECRET_KEY_FILE
}
restore() {
    as "$scratch/bin/hq-restore" "$@" --repository "$repository" --key "$scratch/restore.key" \
        "${credentials[@]}"
}
# hq_write_config INTERVAL LEVEL: for the store of hq_store, the cluster `data` and the slot $slot
slot=hq_test
hq_write_config() {
    local url=$repository
    repository=${url%%\?*}
    hq_config data "$store_yaml" <<YAML
log:
  level: $2
wal:
  flush_interval: $1
backup:
  schedule: ""
YAML
    repository=$url
    sed -i "s/^  slot: .*/  slot: $slot/" "$config"
    rm -rf "$scratch/state"
}
hq_daemon_up() { # hq_daemon_up INTERVAL LEVEL: with such a configuration, streaming
    hq_write_config "$@"
    : >"$scratch/daemon.log"
    daemon_start
    wait_for 60 "streaming" grep -q 'streaming WAL' "$scratch/daemon.log" || exit 1
}

# ---- pgBackRest ----------------------------------------------------------------------------------
# peer_init directory|rgw: configuration $scratch/pgbackrest.conf and a new stanza `main` of `data`,
# which must run. zstd of level 1 and encryption, as we do; asynchronous, two processes.
peer_init() {
    local path=$scratch/peer-$1
    rm -rf "$scratch/peer-spool" "$path"
    as mkdir -p "$scratch/peer-spool" "$scratch/peer-log" "$scratch/peer-lock"
    cat >"$scratch/pgbackrest.conf" <<CONF
[global]
$(peer_repository "$1" "$path")
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=a-pass-phrase-for-the-benchmark
compress-type=zst
compress-level=1
archive-async=y
process-max=2
spool-path=$scratch/peer-spool
log-path=$scratch/peer-log
lock-path=$scratch/peer-lock
log-level-console=warn
log-level-file=off
[main]
pg1-path=$scratch/data
pg1-port=${port_of[data]}
pg1-socket-path=$scratch
pg1-user=postgres
CONF
    chown "$user" "$scratch/pgbackrest.conf"
    chmod 600 "$scratch/pgbackrest.conf"
    must as pgbackrest --config="$scratch/pgbackrest.conf" --stanza=main stanza-create
}
peer_repository() {
    if [ "$1" = directory ]; then
        as mkdir -p "$2"
        echo "repo1-path=$2"
        return
    fi
    cat <<CONF
repo1-type=s3
repo1-path=/peer
repo1-s3-bucket=$S3_BUCKET
repo1-s3-endpoint=localhost
repo1-storage-port=${S3_TLS_ENDPOINT##*:}
repo1-storage-ca-file=$S3_CA
repo1-s3-region=$S3_REGION
repo1-s3-uri-style=path
repo1-s3-key=$S3_ACCESS_KEY
repo1-s3-key-secret=$S3_SECRET_KEY
CONF
}
peer_command() { echo "pgbackrest --config=$scratch/pgbackrest.conf --stanza=main"; }
