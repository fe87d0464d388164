# lib.sh: sourced by the integration tests (bash). One scratch directory, a PostgreSQL or more in it,
# a repository, the daemon; lines 'ok - what' and 'not ok - what'; nothing left running at the end.
#
# Environment: HQ_BUILD (directory of programs; default build/dev/bin), HQ_PG_BIN; HQ_FILES=1: backups
# read the servers' files.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${HQ_BUILD:-$top/build/dev/bin}
pg_bin=${HQ_PG_BIN:-/usr/lib/postgresql/15/bin}
export LC_ALL=C.UTF-8
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

scratch=$(mktemp -d /tmp/hq-test.XXXXXX)
chmod 711 "$scratch"
mkdir "$scratch/bin"
cp "$build"/hq-* "$scratch/bin/"
chmod 755 "$scratch/bin" "$scratch/bin/"*
user=$(id -un)
if [ "$(id -u)" = 0 ]; then user=postgres; chown postgres: "$scratch"; fi
become=(env HOME="$scratch")
[ "$(id -u)" != 0 ] || become=(setpriv --reuid=postgres --regid=postgres --init-groups "${become[@]}")
as() { "${become[@]}" "$@"; }
failures=0
daemon=
mounts=

finish() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null
    local pidfile
    for pidfile in "$scratch"/*/postmaster.pid; do
        [ -f "$pidfile" ] && as "$pg_bin/pg_ctl" -D "$(dirname "$pidfile")" -m immediate -s stop
    done 2>/dev/null
    type at_end >/dev/null 2>&1 && at_end
    local mount
    for mount in $mounts; do umount -l "$mount"; done
    [ -n "${HQ_KEEP:-}" ] || rm -rf "$scratch"
    [ "$failures" = 0 ] || status=1
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    failures=$((failures + 1))
    [ -z "${2:-}" ] || sed 's/^/    /' "$2" | tail -n 25
}
# check WHAT COMMAND...: it must succeed. Its output is in $scratch/out.
check() {
    local what=$1; shift
    if "$@" >"$scratch/out" 2>&1; then ok "$what"; else not_ok "$what (status $?)" "$scratch/out"; fi
}
# refuse WHAT STATUS PATTERN COMMAND...: it must end with that status and say so.
refuse() {
    local what=$1 wanted=$2 pattern=$3 status; shift 3
    "$@" >"$scratch/out" 2>&1
    status=$?
    if [ "$status" != "$wanted" ]; then
        not_ok "$what (status $status, not $wanted)" "$scratch/out"
    elif ! grep -qE -- "$pattern" "$scratch/out"; then
        not_ok "$what (does not say '$pattern')" "$scratch/out"
    else
        ok "$what"
    fi
}
same() { # same WHAT EXPECTED FOUND
    if [ "$2" = "$3" ]; then ok "$1"; else
        printf 'expected: %s\nfound:    %s\n' "$2" "$3" >"$scratch/out"
        not_ok "$1" "$scratch/out"
    fi
}
must() { "$@" >"$scratch/out" 2>&1 || { not_ok "preparation: $*" "$scratch/out"; exit 1; }; }
# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local tries=$(($1 * 10)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then not_ok "gave up waiting for $what" "$scratch/daemon.log"; return 1; fi
        sleep 0.1
    done
}

# ---- PostgreSQL: a cluster is a directory of the scratch, its port a number of its own -----------
next_port=54001
declare -A port_of
pg_init() { # pg_init NAME [initdb options]
    local name=$1; shift
    port_of[$name]=$next_port
    next_port=$((next_port + 1))
    must as "$pg_bin/initdb" -D "$scratch/$name" -k -A trust -N "$@"
    cat >>"$scratch/$name/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$scratch'
port = ${port_of[$name]}
fsync = off
log_min_messages = info
CONF
    must as "$pg_bin/pg_ctl" -D "$scratch/$name" -l "$scratch/$name.log" -w -s start
}
pg_stop() { as "$pg_bin/pg_ctl" -D "$scratch/$1" -m "${2:-immediate}" -s stop; }
pg_start() { must as "$pg_bin/pg_ctl" -D "$scratch/$1" -l "$scratch/$1.log" -w -s start; }
sql() { # sql NAME psql-arguments...
    local name=$1; shift
    psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$scratch" -p "${port_of[$name]}" -U postgres -d "${db:-postgres}" "$@"
}
# start_restored NAME: the directory a restore made, on a port of its own, until it is promoted
start_restored() {
    local name=$1
    port_of[$name]=$next_port
    next_port=$((next_port + 1))
    printf "port = %s\nunix_socket_directories = '%s'\nlisten_addresses = ''\n" \
        "${port_of[$name]}" "$scratch" >>"$scratch/$name/postgresql.auto.conf"
    if ! as "$pg_bin/pg_ctl" -D "$scratch/$name" -l "$scratch/$name.log" -t 120 -w -s start >/dev/null 2>&1; then
        not_ok "$name starts" "$scratch/$name.log"
        return 1
    fi
    wait_for 120 "the end of recovery of $name" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[$name]} -U postgres -d postgres -c 'SELECT pg_is_in_recovery()')\" = f ]"
}
drop_restored() { pg_stop "$1" 2>/dev/null; rm -rf "${scratch:?}/$1"; }

# ---- hq-backup -----------------------------------------------------------------------------------
repository=$scratch/repository
config=$scratch/hq-backup.yaml
cluster=main
hq_init() { # hq_init [further options of init]
    must as "$scratch/bin/hq-backup" init --repository "$repository" --region TR --writer test \
        --sidecar-key "$scratch/sidecar.key" --restore-key "$scratch/restore.key" --no-passphrase "$@"
}
# hq_config PG [YAML for `repository:` beyond the url]; further sections from standard input
hq_config() {
    cat >"$config" <<YAML
region: TR
state_directory: $scratch/state
key_file: $scratch/sidecar.key
repository:
  url: $repository
${2:-}
cluster:
  name: $cluster
  connection: "host=$scratch port=${port_of[$1]} user=postgres"
  slot: hq_test
YAML
    [ -z "${HQ_FILES:-}" ] || echo "  data_directory: $scratch/$1" >>"$config"
    [ -t 0 ] || cat >>"$config"
    chown "$user" "$config"
}
backup() { as "$scratch/bin/hq-backup" "$@" --config "$config"; }
restore() { as "$scratch/bin/hq-restore" "$@" --repository "$repository" --key "$scratch/restore.key"; }
daemon_start() {
    # Not through `as`: $! must be the daemon's own number, not a shell's around it.
    "${become[@]}" "$scratch/bin/hq-backupd" --config "$config" 2>>"$scratch/daemon.log" &
    daemon=$!
}
daemon_stop() { # with the daemon's exit status
    local pid=$daemon
    daemon=
    kill "$pid" 2>/dev/null
    wait "$pid"
}
daemon_kill() {
    local pid=$daemon
    daemon=
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
}
# LSN the repository's WAL reaches, as hq-restore sees it
reaches() { restore points --cluster "$cluster" --json 2>/dev/null | grep -o '"to_lsn": *"[^"]*"' | tail -n 1 | grep -o '[0-9A-F]*/[0-9A-F]*'; }
covered() { [ "$(sql "$1" -c "SELECT '$(reaches)'::pg_lsn >= '$2'::pg_lsn")" = t ]; }
# wait until everything PG wrote so far is in the repository
catch_up() { wait_for 60 "WAL in the repository" covered "$1" "$(sql "$1" -c 'SELECT pg_current_wal_flush_lsn()')"; }
backups() { restore points --cluster "$cluster" --json 2>/dev/null | grep -c '"backup": *"'; }
has_backup() { [ "$(backups)" -ge "${1:-1}" ]; }
