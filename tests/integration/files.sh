#!/bin/bash
# Backups that read the server's files: `bash files.sh [VERSION...]`, by default 15 and 17.
# What is restored is compared with what a streamed backup gives; then all that must not be taken for
# the server's data directory, and what may happen while it is read.
. "$(dirname "$0")/each_version.sh" 240 "15 17" "$@"
. "$(dirname "$0")/lib.sh"
v=$HQ_VERSION
load=
session=
at_end() { [ -z "$load" ] || kill "$load" 2>/dev/null; [ -z "$session" ] || kill "$session" 2>/dev/null; }

pg_init data
same "$v: the server is of that version" "$v" "$(sql data -c "SELECT current_setting('server_version_num')::int / 10000")"
mkdir "$scratch/space"; chown "$user" "$scratch/space"
sql data <<SQL
CREATE TABLESPACE fast LOCATION '$scratch/space';
CREATE TABLE steps (n int);
CREATE TABLE plain AS SELECT n, md5(n::text) AS t, repeat('x', 200) AS pad FROM generate_series(1, 200000) n;
CREATE INDEX ON plain (n);
CREATE TABLE apart TABLESPACE fast AS SELECT n, repeat('f', 100) AS pad FROM generate_series(1, 20000) n;
CREATE UNLOGGED TABLE fleeting (n int PRIMARY KEY);
INSERT INTO fleeting SELECT generate_series(1, 1000);
CREATE TABLE large (n int);
INSERT INTO large VALUES (1);
CREATE ROLE backup LOGIN REPLICATION;
SQL
# A relation of more than one segment, for the price of its holes.
large=$(sql data -c "SELECT pg_relation_filepath('large')")
pg_stop data fast
as truncate -s 1G "$scratch/data/$large"
as truncate -s 3M "$scratch/data/$large.1"
# Names that sort around a directory's, a link, what is no file, and what belongs to no backup.
as bash -c "cd '$scratch/data' && mkdir a && touch a/x a-b a.b a0 '$(printf 'caf\351 \303\274')' && ln -s /etc/hostname outside &&
    mkfifo pipe && mkdir -p base/pgsql_tmp && touch base/pgsql_tmp/pgsql_tmp1.0 backup_manifest pg_stat_tmp/junk"
chmod 750 "$scratch/data/a"
pg_start data
hq_init
# set_config CONNECTION-USER DIRECTORY MODE
set_config() {
    hq_config data <<YAML
  data_directory: $2
backup:
  mode: $3
YAML
    sed -i "s/user=postgres\"/user=$1\"/" "$config"
}
# says WHAT PATTERN COMMAND...: it succeeds and says so; its output stays in $scratch/said
says() {
    local what=$1 pattern=$2; shift 2
    check "$what" "$@"
    cp "$scratch/out" "$scratch/said"
    grep -qE -- "$pattern" "$scratch/said" || not_ok "$what: it does not say '$pattern'" "$scratch/said"
}
newest() { restore points --cluster "$cluster" --json 2>/dev/null | grep -o '"backup": *"[^"]*"' | sort | tail -n 1 | cut -d'"' -f4; }
fact() { backup show "$(newest)" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
daemon_start_quiet() {
    hq_config data <<YAML
backup:
  schedule: ""
  mode: stream
YAML
    daemon_start
}

# ---- what a directory must be, and what is said where it is not ----------------------------------
set_config backup "$scratch/data" auto
says "$v: without the right to begin a backup it is streamed, and it is said what to grant" \
    'GRANT EXECUTE ON FUNCTION pg_(backup_start|start_backup)' backup check
if [ "$v" = 14 ]; then
    sql data -c "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean) TO backup"
else
    sql data -c "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO backup"
fi
says "$v: with the right files are taken" "backup mode: files: $scratch/data is the server's data directory" backup check
same "$v: and no slot is left behind" 0 "$(sql data -c "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'hq_backup_proof%'")"

as cp -a "$scratch/data" "$scratch/copy" 2>/dev/null
set_config backup "$scratch/copy" auto
says "$v: a copy is told from the directory" "backup mode: stream: .*did not appear in its pg_replslot" backup check
set_config backup "$scratch/copy" files
refuse "$v: backup.mode files does not fall back" 7 "backup.mode is files: .*not the data directory" backup backup
rm -rf "$scratch/copy"
set_config backup "$scratch/nowhere" files
refuse "$v: a directory that is not there" 8 "nowhere" backup backup
set_config backup "$scratch" files
refuse "$v: one that is no data directory" 8 "PG_VERSION" backup backup
set_config backup "$config" files
refuse "$v: a file, and the check says what to do" 1 "do: cluster.data_directory is to name" backup check
same "$v: one failure is one check" 1 "$(grep -c '1 check failed' "$scratch/out")"
set_config backup "$config" auto
says "$v: where it falls back, that is noted" "^note +backup mode: stream: .*$config" backup check
check "$v: with advice" grep -q "better: cluster.data_directory is to name the server's data directory as this host" "$scratch/said"
set_config postgres "$scratch/nowhere" auto
says "$v: a role that may ask learns where the directory is" "better: .*cluster.data_directory.*; the server calls it $scratch/data\$" backup check
must as "$pg_bin/initdb" -D "$scratch/other" -A trust -N
set_config backup "$scratch/other" files
refuse "$v: one of another system" 7 "it is of system" backup backup
mv "$scratch/space" "$scratch/space.away"
set_config backup "$scratch/data" files
refuse "$v: a tablespace that can't be reached" 8 "tablespace [0-9]+ of the server is not at" backup backup
mv "$scratch/space.away" "$scratch/space"
# in_mounts 'mount commands' COMMAND...: with mounts that only the command sees
in_mounts() { unshare -m sh -c "mount --make-rprivate / && $1 && shift && exec \"\$@\"" mounts "$@"; }
if [ "$(id -u)" = 0 ]; then
    cp -a "$scratch/space" "$scratch/space.old"
    rm -r "$scratch"/space.old/PG_*/[1-9]*
    refuse "$v: a tablespace that is another" 8 "tablespace [0-9]+ of the server is not the one" \
        in_mounts "mount --bind $scratch/space.old $scratch/space" "${become[@]}" "$scratch/bin/hq-backup" backup --config "$config"
    rm -r "$scratch/space.old"
    says "$v: read-only mounts are enough" "backup mode: files" \
        in_mounts "mount --bind $scratch/data $scratch/data && mount -o remount,ro,bind $scratch/data" \
        "${become[@]}" "$scratch/bin/hq-backup" check --config "$config"
fi
as bash -c "echo secret >'$scratch/data/server.key'"; chown root "$scratch/data/server.key"; chmod 600 "$scratch/data/server.key"
if [ "$(id -u)" = 0 ]; then
    set_config backup "$scratch/data" auto
    says "$v: a file that can't be read is named beforehand" "backup mode: stream: read $scratch/data/server.key" backup check
fi
rm -f "$scratch/data/server.key"
set_config backup "$scratch/nowhere" auto
says "$v: a backup that can't take the directory warns" 'level=warning message="mode of the backup" mode="stream: .*nowhere.*hint=.*cluster.data_directory' backup backup
set_config backup "$scratch/nowhere" stream
says "$v: one that was not to take it does not, and hints at nothing" 'level=info message="mode of the backup" mode="stream: backup.mode says so"$' backup backup

# ---- under load, restored and compared with the server -------------------------------------------
daemon_start_quiet
wait_for 30 "the slot" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[data]} -U postgres -d postgres -c \"SELECT count(*) FROM pg_replication_slots WHERE active\")\" = 1 ]"
psql -XAtq -h "$scratch" -p "${port_of[data]}" -U postgres -d postgres -c "CREATE TEMP TABLE passing AS SELECT generate_series(1, 10000)" -c "SELECT pg_sleep(600)" >/dev/null 2>&1 &
session=$!
(while :; do
    sql data -c "UPDATE plain SET pad = repeat('y', 180) WHERE n % 10 = floor(random() * 10)::int" \
        -c "INSERT INTO steps VALUES (1)" -c "CREATE TABLE brief AS SELECT generate_series(1, 5000)" -c "DROP TABLE brief" || exit
    db=postgres sql data -c "CREATE DATABASE coming" && sql data -c "DROP DATABASE coming"
done) >/dev/null 2>&1 &
load=$!
set_config backup "$scratch/data" auto
says "$v: a backup under load says that it reads files" "mode of the backup.*files: $scratch/data" backup backup
check "$v: and what it leaves out" grep -q 'path=outside' "$scratch/said"
same "$v: its root says so too" files "$(fact mode)"
same "$v: no page is damaged" 0 "$(fact damaged_pages)"
kill "$load"; wait "$load" 2>/dev/null; load=
wait_for 30 "the end of the load" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[data]} -U postgres -d postgres -c \"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name = 'psql' AND query !~ 'pg_sleep' AND pid <> pg_backend_pid()\")\" = 0 ]"
sql data -c "DROP DATABASE IF EXISTS coming" -c "DROP TABLE IF EXISTS brief"
catch_up data
must restore pg --cluster main --to "$scratch/r1" --tablespace-map "$scratch/space=$scratch/space1" --latest
start_restored r1
digest() { sql "$1" -c "SELECT (SELECT count(*) || md5(string_agg(t || pad, '' ORDER BY n)) FROM plain), (SELECT count(*) FROM apart), (SELECT count(*) FROM steps), (SELECT count(*) FROM large), pg_relation_size('large'), (SELECT count(*) FROM pg_database)"; }
same "$v: what was restored is what the server has" "$(digest data)" "$(digest r1)"
same "$v: an unlogged table is empty" 0 "$(sql r1 -c "SELECT count(*) FROM fleeting")"
sql r1 -c "CREATE EXTENSION IF NOT EXISTS amcheck" >/dev/null 2>&1 &&
    check "$v: the index fits the table" sql r1 -c "SELECT bt_index_check('plain_n_idx', true)"
drop_restored r1; rm -rf "$scratch/space1"

# ---- byte by byte beside a streamed one ------------------------------------------------------------
# Nothing changes between the two, and neither is started: what differs is what the backup did.
# pg_control and what the checkpoint that begins a backup writes differ by themselves.
same_tree() {
    (cd "$1" && find . -name space -prune -o \( -path ./global/pg_control -o -path ./backup_label -o -path ./postgresql.auto.conf -o -path ./pg_wal \
        -o -path './pg_logical/*' -o -path './.hq*' -o -path './hq*' \) -prune -o -printf '%p %y %m %U %l' \( -type f -printf ' %s ' -exec sha256sum {} \; -o -printf '\n' \)) | sed "s|$1||g" | LC_ALL=C sort
}
sql data -c "VACUUM" -c "CHECKPOINT"
set_config backup "$scratch/data" files
check "$v: a backup by files of a quiet server" backup backup
files_backup=$(newest)
set_config backup "$scratch/data" stream
check "$v: and one by stream" backup backup
same "$v: they are two" 2 "$(printf '%s\n' "$files_backup" "$(newest)" | sort -u | wc -l)"
must restore pg --cluster main --to "$scratch/byfiles" --tablespace-map "$scratch/space=$scratch/space1" --backup "$files_backup" --latest
must restore pg --cluster main --to "$scratch/bystream" --tablespace-map "$scratch/space=$scratch/space2" --latest
same_tree "$scratch/byfiles" | sed "s|space1|space2|" >"$scratch/tree1"
same_tree "$scratch/bystream" >"$scratch/tree2"
check "$v: the two restore the same files, owners and modes" diff "$scratch/tree1" "$scratch/tree2"
check "$v: there is something to compare" test "$(wc -l <"$scratch/tree1")" -gt 900
same "$v: and the same tablespace" "$(cd "$scratch/space2" && find . -type f -exec sha256sum {} + | sort)" "$(cd "$scratch/space1" && find . -type f -exec sha256sum {} + | sort)"
rm -rf "$scratch/byfiles" "$scratch/bystream" "$scratch/space1" "$scratch/space2"

# ---- a damaged page ------------------------------------------------------------------------------
plain=$(sql data -c "SELECT pg_relation_filepath('plain')")
pg_stop data fast
as cp "$scratch/data/$plain" "$scratch/undamaged"
printf 'damage' | as dd of="$scratch/data/$plain" bs=1 seek=$((5 * 8192 + 4000)) conv=notrunc status=none
pg_start data
set_config backup "$scratch/data" files
# Pages that WAL did not change are not looked at otherwise.
backup backup --full-read >"$scratch/out" 2>&1
same "$v: a damaged page is told" 1 "$(fact damaged_pages)"
pg_stop data fast
as cp "$scratch/undamaged" "$scratch/data/$plain"
pg_start data
check "$v: a backup without damage" backup backup
same "$v: and none is told" 0 "$(fact damaged_pages)"

# ---- while it is read ------------------------------------------------------------------------------
# interrupt WHAT STATUS PATTERN SERVER COMMAND...: the backup is held up between begin and end of its
# session on SERVER, COMMAND runs, the backup goes on and must end with that status and say so.
held=
interrupt() {
    local what=$1 wanted=$2 pattern=$3 server=$4 pid status; shift 4
    "${become[@]}" "$scratch/bin/hq-backup" backup --full-read --config "$config" >"$scratch/out" 2>&1 &
    pid=$!
    wait_for 30 "the backup to begin" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[$server]} -U postgres -d postgres -c \"SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query ~ '^SELECT pg_catalog.pg_(backup_start|start_backup)'\" 2>/dev/null)\" -ge 1 ]"
    kill -STOP "$pid"
    held=$pid
    "$@" >"$scratch/during" 2>&1 || not_ok "$what: $*" "$scratch/during"
    kill -CONT "$pid"
    wait "$pid"; status=$?
    if [ "$status" = "$wanted" ] && grep -qE -- "$pattern" "$scratch/out"; then ok "$what"; else not_ok "$what (status $status)" "$scratch/out"; fi
}
interrupt "$v: a session that is lost makes the copy void" 14 "session that holds the backup was lost" data \
    sql data -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_catalog.pg_(backup_start|start_backup)' AND pid <> pg_backend_pid()"
interrupt "$v: SIGTERM ends it" 18 "INTERRUPTED|stopped" data eval 'kill -TERM "$held"'
if [ "$v" -ge 15 ]; then
    state="SELECT count(*) FROM pg_stat_activity WHERE query ~ 'pg_backup_start' AND pid <> pg_backend_pid()"
    same "$v: no session is left behind" 0 "$(sql data -c "$state")"
fi

# ---- a standby, made of the newest backup by files ------------------------------------------------
must restore pg --cluster main --to "$scratch/follower" --tablespace-map "$scratch/space=$scratch/space3" --latest
port_of[follower]=$next_port
next_port=$((next_port + 1))
printf "port = %s\nprimary_conninfo = 'host=%s port=%s user=postgres'\nhot_standby = on\nunix_socket_directories = '%s'\nlisten_addresses = ''\n" \
    "${port_of[follower]}" "$scratch" "${port_of[data]}" "$scratch" >>"$scratch/follower/postgresql.auto.conf"
rm -f "$scratch/follower/recovery.signal"; as touch "$scratch/follower/standby.signal"
as "$pg_bin/pg_ctl" -D "$scratch/follower" -l "$scratch/follower.log" -w -t 60 -s start >/dev/null 2>&1
wait_for 30 "the standby" sh -c "[ \"\$(psql -XAtq -h '$scratch' -p ${port_of[follower]} -U postgres -d postgres -c 'SELECT count(*) FROM pg_stat_wal_receiver' 2>/dev/null)\" = 1 ]"
standby_config() {
    set_config backup "$1" "$2"
    sed -i "s|^  data_directory:|  backup_connection: \"host=$scratch port=${port_of[follower]} user=backup\"\n&|" "$config"
}
standby_config "$scratch/data" files
refuse "$v: the primary's directory is not taken for the standby's" 7 "not the data directory of the server connected to" backup backup
standby_config "$scratch/follower" files
set_config backup "$scratch/follower" files
refuse "$v: nor the standby's for the primary's" 7 "not the data directory of the server connected to" backup backup
standby_config "$scratch/follower" files
sql data -c "INSERT INTO steps SELECT generate_series(1, 10)" -c "CHECKPOINT"
check "$v: a backup of the standby's files" backup backup
same "$v: its mode" files "$(fact mode)"
catch_up data
must restore pg --cluster main --to "$scratch/r2" --tablespace-map "$scratch/space3=$scratch/space4" --latest
start_restored r2
same "$v: what it restores is what the primary has" "$(digest data)" "$(digest r2)"
drop_restored r2
interrupt "$v: a standby that is promoted meanwhile makes it void" 14 "promoted" follower sql follower -c "SELECT pg_promote()"
daemon_stop >/dev/null 2>&1
