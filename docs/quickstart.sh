#!/bin/sh
# The main job, start to end, on a real PostgreSQL in a scratch directory: protect a cluster, lose
# it, bring it back to the second before an accident. Exit status 0 only if every row is back.
#
#     sh docs/quickstart.sh
#     HQ_DATABASE='host=db user=backup password=...' sh docs/quickstart.sh
#
# With HQ_DATABASE the cluster it names is protected instead, and only read from: a base backup and
# the WAL of the next seconds are restored beside it and started.
# Environment: HQ_SCRATCH (a directory; default: a new one below /tmp), HQ_KEEP=1 (leave it there),
# HQ_BUILD (directory of built programs; default: build them).
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
pg_bin=${HQ_PG_BIN:-/usr/lib/postgresql/15/bin}
export LC_ALL=C.UTF-8

say() { printf '\n== %s\n' "$*"; }
die() { echo "quickstart: $*" >&2; exit 1; }

# ---- build ---------------------------------------------------------------------------------------
if [ -z "${HQ_BUILD:-}" ]; then
    say "installing packages and building"
    sh "$top/docs/packages.sh" build
    cd "$top"
    cmake --preset release >/dev/null
    cmake --build --preset release | tail -n 1
    HQ_BUILD=$top/build/release/bin
fi

# ---- scratch: owned by a user who may run PostgreSQL, which refuses root -------------------------
scratch=${HQ_SCRATCH:-$(mktemp -d /tmp/hq-quickstart.XXXXXX)}
mkdir -p "$scratch"
user=$(id -un)
if [ "$(id -u)" = 0 ]; then
    user=postgres
    chown postgres: "$scratch"
fi
chmod 711 "$scratch"
programs=$scratch/bin
mkdir -p "$programs"
cp "$HQ_BUILD/hq-backup" "$HQ_BUILD/hq-backupd" "$HQ_BUILD/hq-restore" "$programs/"
chmod 755 "$programs" "$programs"/*
become="env HOME=$scratch"
[ "$(id -u)" != 0 ] || become="setpriv --reuid=postgres --regid=postgres --init-groups $become"
as_user() { $become "$@"; }

daemon=
cleanup() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null || true; }
    # A slot that nobody reads from would fill the disk of the cluster that was only to be read.
    if [ -n "${HQ_DATABASE:-}" ] && [ -n "${slot:-}" ]; then
        psql -X -q -d "$database replication=true" -c "DROP_REPLICATION_SLOT $slot WAIT" >/dev/null ||
            echo "quickstart: drop the slot $slot on the server: it keeps WAL there" >&2
    fi
    for data in "$scratch/data" "$scratch/restored"; do
        [ ! -f "$data/postmaster.pid" ] ||
            as_user "$pg_bin/pg_ctl" -D "$data" -m immediate -s stop >/dev/null 2>&1 || true
    done
    if [ "$status" != 0 ] && [ -f "$scratch/hq-backupd.log" ]; then
        echo "-- last lines of $scratch/hq-backupd.log" >&2
        tail -n 5 "$scratch/hq-backupd.log" >&2
        [ ! -f "$scratch/restored.log" ] || tail -n 5 "$scratch/restored.log" >&2
    fi
    if [ -n "${HQ_KEEP:-}" ]; then
        echo "Everything is left in $scratch"
    else
        rm -rf "$scratch"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

now_ms() { date +%s%3N; }
began=$(now_ms)

# wait_for SECONDS WHAT COMMAND...: until the command succeeds
wait_for() {
    tries=$(($1 * 5)); what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ -z "$daemon" ] || kill -0 "$daemon" 2>/dev/null || die "hq-backupd ended while waiting for $what"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "gave up waiting for $what"
        sleep 0.2
    done
}

# ---- the cluster ---------------------------------------------------------------------------------
if [ -z "${HQ_DATABASE:-}" ]; then
    say "PostgreSQL with real rows"
    as_user "$pg_bin/initdb" -D "$scratch/data" -k -A trust -N >/dev/null
    cat >>"$scratch/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$scratch'
CONF
    as_user "$pg_bin/pg_ctl" -D "$scratch/data" -l "$scratch/data.log" -w -s start
    database="host=$scratch user=postgres dbname=postgres"
    sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$database" "$@"; }
    sql <<'SQL'
CREATE TABLE patients (id bigint PRIMARY KEY, name text NOT NULL, born date NOT NULL);
CREATE TABLE results (id bigserial PRIMARY KEY, patient bigint NOT NULL REFERENCES patients,
                      taken timestamptz NOT NULL DEFAULT clock_timestamp(), value jsonb NOT NULL);
INSERT INTO patients SELECT n, 'patient ' || md5(n::text), date '1940-01-01' + (n * 17 % 25000)::int
  FROM generate_series(1, 50000) n;
INSERT INTO results (patient, value)
  SELECT 1 + n % 50000, jsonb_build_object('code', 'LOINC-' || n % 997, 'value', n % 4211, 'note', md5(n::text))
  FROM generate_series(1, 400000) n;
SQL
    sql -c "SELECT count(*) || ' patients, ' || (SELECT count(*) FROM results) || ' results, ' ||
            pg_size_pretty(pg_database_size('postgres')) FROM patients"
else
    database=$HQ_DATABASE
    # Any database will do to look, and libpq's default is one with the user's name.
    case " $database" in *" dbname="*) ;; *) database="$database dbname=postgres" ;; esac
    sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$database" "$@"; }
fi

# A password never goes to the configuration: it has a file of its own.
connection=$(printf '%s\n' "$database" | sed -E "s/(^| )password *= *('[^']*'|[^ ]*)//; s/(^| )dbname *= *[^ ]*//")
password=$(printf '%s\n' "$database" | sed -nE "s/.*(^| )password *= *('([^']*)'|([^ ]*)).*/\3\4/p")

# ---- repository and keys -------------------------------------------------------------------------
say "repository and keys"
as_user "$programs/hq-backup" init --repository "$scratch/repository" --region TR --writer quickstart \
    --sidecar-key "$scratch/sidecar.key" --restore-key "$scratch/restore.key" --no-passphrase
slot=hq_quickstart_$$
cat >"$scratch/hq-backup.yaml" <<YAML
region: TR
state_directory: $scratch/state
key_file: $scratch/sidecar.key
repository:
  url: $scratch/repository
cluster:
  name: main
  connection: "$connection"
  slot: $slot
YAML
if [ -n "$password" ]; then
    (umask 077; printf '%s\n' "$password" >"$scratch/password")
    chown "$user" "$scratch/password"
    sed -i "s|^  slot:|  password_file: $scratch/password\n  slot:|" "$scratch/hq-backup.yaml"
fi
chown "$user" "$scratch/hq-backup.yaml"
as_user "$programs/hq-backup" check --config "$scratch/hq-backup.yaml"

# ---- protect -------------------------------------------------------------------------------------
say "hq-backupd takes a base backup and streams WAL"
# Not through the function: $! must be the daemon's own number, not a shell's around it.
$become "$programs/hq-backupd" --config "$scratch/hq-backup.yaml" 2>"$scratch/hq-backupd.log" &
daemon=$!
restore() { as_user "$programs/hq-restore" "$@" --repository "$scratch/repository" --key "$scratch/restore.key" --cluster main; }
backed_up() { restore points --json | grep -q '"backups": *[1-9]'; }
writes=0
if [ -z "${HQ_DATABASE:-}" ]; then
    until backed_up; do # the database goes on being written to
        kill -0 "$daemon" 2>/dev/null || die "hq-backupd ended"
        ! grep -q 'backup failed' "$scratch/hq-backupd.log" || die "the backup failed"
        sql -c "INSERT INTO results (patient, value) SELECT n, '{\"live\": true}' FROM generate_series(1, 200) n"
        writes=$((writes + 200))
        [ "$writes" -lt 200000 ] || die "no backup after $writes rows"
        sleep 0.1
    done
    echo "$writes rows were written during the backup"
else
    wait_for 3600 "the base backup" backed_up
fi

checksum_sql="SELECT (SELECT count(*) FROM patients) || ' patients, ' || (SELECT count(*) FROM results) || ' results, md5 ' ||
    md5((SELECT coalesce(sum(hashtextextended(p::text, 0)), 0) FROM patients p)::text || ' ' ||
        (SELECT coalesce(sum(hashtextextended(r::text, 0)), 0) FROM results r)::text)"
reaches() { restore points --json | grep -o '"to_lsn": *"[^"]*"' | tail -n 1 | grep -o '[0-9A-F]*/[0-9A-F]*'; }

if [ -z "${HQ_DATABASE:-}" ]; then
    sql -c "INSERT INTO results (patient, value) SELECT n, '{\"after\": \"backup\"}' FROM generate_series(1, 5000) n"
    expected=$(sql -c "$checksum_sql")
    target=$(sql -c "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'")
    sleep 1
    say "the accident: DROP TABLE results"
    sql -c "DROP TABLE results"
    accident=$(sql -c "SELECT pg_current_wal_flush_lsn()")
    covered() { [ "$(sql -c "SELECT '$(reaches)'::pg_lsn >= '$accident'::pg_lsn")" = t ]; }
    wait_for 60 "the last WAL in the repository" covered
    say "the data directory is gone"
    as_user "$pg_bin/pg_ctl" -D "$scratch/data" -m immediate -s stop
    rm -rf "$scratch/data"
    set -- --target-time "$target"
else
    set -- --latest
fi
kill "$daemon" && wait "$daemon" || die "hq-backupd did not end cleanly"
daemon=

# ---- restore -------------------------------------------------------------------------------------
say "restore to ${target:-the latest point}"
restoring=$(now_ms)
restore pg --to "$scratch/restored" "$@"
cat >>"$scratch/restored/postgresql.auto.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$scratch'
port = 54329
archive_mode = off
hba_file = '$scratch/restored.hba'
ident_file = '$scratch/restored.ident'
CONF
printf 'local all all trust\n' >"$scratch/restored.hba"
: >"$scratch/restored.ident"
chown "$user" "$scratch/restored.hba" "$scratch/restored.ident"
[ -f "$scratch/restored/postgresql.conf" ] ||
    { : >"$scratch/restored/postgresql.conf"; chown "$user" "$scratch/restored/postgresql.conf"; }
as_user "$pg_bin/pg_ctl" -D "$scratch/restored" -l "$scratch/restored.log" -t 600 -w -s start
found_sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$scratch" -p 54329 -U "${restored_user:-postgres}" -d postgres "$@"; }
promoted() { [ "$(found_sql -c 'SELECT pg_is_in_recovery()')" = f ]; }
if [ -n "${HQ_DATABASE:-}" ]; then
    restored_user=$(sql -c "SELECT current_user")
fi
wait_for 600 "the end of recovery" promoted
ready=$(now_ms)

# ---- compare -------------------------------------------------------------------------------------
say "result"
if [ -z "${HQ_DATABASE:-}" ]; then
    found=$(found_sql -c "$checksum_sql")
    echo "expected:       $expected"
    echo "found:          $found"
else
    databases="SELECT string_agg(datname, ', ' ORDER BY datname) FROM pg_database"
    expected=$(sql -c "$databases")
    found=$(found_sql -c "$databases")
    echo "on the server:  $expected"
    echo "restored:       $found, $(found_sql -c 'SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database')"
fi
point=$(sed -nE 's/.*last completed transaction was at log time (.*)/\1/p' "$scratch/restored.log" | tail -n 1)
echo "recovery point: ${point:-the end of the backup}${target:+ (asked for: $target)}"
echo "restore time:   $((ready - restoring)) ms until PostgreSQL answered"
echo "repository:     $(du -sh "$scratch/repository" | cut -f 1)"
echo "whole run:      $((ready - began)) ms"
[ "$expected" = "$found" ] || die "what was found is not what was expected"
if [ -z "${HQ_DATABASE:-}" ]; then echo "Every row is back."; else echo "Every database is back."; fi
