#!/bin/bash
# The slot governor on a real server: what it tells while WAL piles up, and what it never does.
# Without root there is no file system to fill: only what needs none is tested then.
. "$(dirname "$0")/lib.sh"

log=$scratch/daemon.log
said() { grep -qE -- "$1" "$log"; }
stages() { grep -o 'slot.s stage has changed.* stage=[a-z-]*' "$log" | grep -o '[a-z-]*$' | paste -sd ' '; }
# config PG [FURTHER SLOT KEYS]
slot_config() {
    hq_config data <<YAML
wal:
  flush_interval: 200ms
slot:
  interval: 1s
  warning: 40MiB
  critical: 80MiB
  limit: 2GiB
  minimum_free: 1MiB
  wal_directory: $scratch/data
${1:-}
YAML
}
# write_wal MEGABYTES
write_wal() {
    sql data -c "TRUNCATE flood" -c "INSERT INTO flood SELECT n, repeat(md5(n::text), 250) FROM generate_series(1, $1 * 122) n" -c "SELECT pg_switch_wal()" >/dev/null
}
looks() { [ "$(sql data -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hq-backup-governor' AND state = 'idle' AND query LIKE 'WITH w AS%'")" = 1 ]; }
gone() { [ "$(slot 'count(*)')" = 0 ]; }
slot() { sql data -c "SELECT $1 FROM pg_replication_slots WHERE slot_name = 'hq_test'"; }

pg_init data
sql data -c "CREATE ROLE keeper LOGIN REPLICATION" -c "CREATE TABLE flood (n int, pad text)" \
    -c "ALTER TABLE flood ALTER pad SET STORAGE EXTERNAL" -c "ALTER SYSTEM SET max_wal_size = '64MB'" \
    -c "ALTER SYSTEM SET min_wal_size = '32MB'" -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" >/dev/null
version=$(sql data -c "SHOW server_version_num")
mkdir "$scratch/repository"
chown "$user" "$scratch/repository"
if [ "$(id -u)" = 0 ]; then
    mount -t tmpfs -o "size=1g,mode=700,uid=$(id -u postgres)" tmpfs "$scratch/repository" || exit 1
    mounts="$mounts $scratch/repository"
fi
hq_init
slot_config
sed -i 's/user=postgres/user=keeper/' "$config"

# ---- What a role with REPLICATION and nothing else sees ------------------------------------------
daemon_start
wait_for 60 "the first backup" has_backup 1
catch_up data
same "a slot that is well is not worth a line" "" "$(stages)"
same "a role with REPLICATION and CONNECT suffices" 0 "$(grep -cE "no ordinary connection|can't be looked at" "$log")"
check "free space is known" sh -c "! grep -q 'free space of pg_wal.*not known' '$log'"

# ---- What check says of it -----------------------------------------------------------------------
# says WHAT PATTERN: the output of the last command has it
says() { if grep -qE -- "$2" "$scratch/out"; then ok "$1"; else not_ok "$1" "$scratch/out"; fi; }
settings() { # settings NAME=VALUE...
    local setting
    for setting in "$@"; do sql data -c "ALTER SYSTEM SET ${setting%%=*} = '${setting#*=}'"; done
    sql data -c "SELECT pg_reload_conf()" >/dev/null
    sleep 0.3
}
must backup check
says "check says what waits" '^ok +WAL on the server: .* waits in the slot \(reserved, being received\)'
says "... and the free space" '^ok +disk of pg_wal: .* free'
same "... and has no advice for a modest role" 0 "$(grep -c better: "$scratch/out")"
settings wal_sender_timeout=2s
must backup check
says "a short wal_sender_timeout is advised against" 'better: set 10s or more'
settings wal_sender_timeout=60s max_slot_wal_keep_size=64MB
refuse "a threshold beyond max_slot_wal_keep_size is refused" 1 'FAILED slot thresholds: .*before anything is critical' backup check
settings max_slot_wal_keep_size=-1
sed "s|wal_directory: .*|wal_directory: $scratch/nowhere|" "$config" >"$scratch/other.yaml"
chown "$user" "$scratch/other.yaml"
refuse "a directory that is not there is refused" 1 'FAILED disk of pg_wal: .*nowhere' \
    as "$scratch/bin/hq-backup" check --config "$scratch/other.yaml"
sed "s|wal_directory: .*|wal_directory: /|" "$config" >"$scratch/other.yaml"
refuse "a directory that is not pg_wal is refused" 1 'FAILED disk of pg_wal: .*newest WAL segment 0' \
    as "$scratch/bin/hq-backup" check --config "$scratch/other.yaml"
sed "s|wal_directory: .*|wal_directory: $scratch/data/pg_wal|; s/user=keeper/user=postgres/" "$config" >"$scratch/other.yaml"
must as "$scratch/bin/hq-backup" check --config "$scratch/other.yaml"
says "a superuser is advised against" 'better: use a role that may do no more'

# ---- The store is full for a while ---------------------------------------------------------------
if [ "$(id -u)" = 0 ]; then
    head -c 2G /dev/zero >"$scratch/repository/ballast" 2>/dev/null
    write_wal 50
    wait_for 30 "a warning" said 'stage=warning before=ok'
    write_wal 50
    wait_for 30 "a critical stage" said 'stage=critical before=warning'
    same "stages come in their order" "warning critical" "$(stages)"
    check "the line has figures" said 'stage=critical.*retained_bytes=[0-9]+ free_bytes=[0-9]+ .*growth_per_second=[0-9]+ full_in='
    check "... and what to do" said 'stage=critical.*hint=.*(store|disk)'
    same "each change is one line" 2 "$(grep -c 'stage has changed' "$log")"
    sleep 3
    same "... and only a change" 2 "$(grep -c 'stage has changed' "$log")"
    check "protect-wal keeps the slot" test "$(slot 'restart_lsn IS NOT NULL')" = t
    rm "$scratch/repository/ballast"
    catch_up data
    wait_for 30 "the end of it" said 'stage=ok'
    check "the way back is told too" said 'level=info.*stage=ok before='
fi

# ---- The server goes, and comes back -------------------------------------------------------------
pg_stop data fast
wait_for 30 "a governor that can't look" said "slot can't be looked at.*code=TRANSIENT"
sleep 3
same "... is told once" 1 "$(grep -c "slot can't be looked at" "$log")"
pg_start data
wait_for 30 "a governor that can" said "slot can be looked at again"
ok "a server that goes and comes back is told of"
daemon_stop
same "the daemon ends cleanly" 0 $?

# ---- Letting go, where that was agreed -----------------------------------------------------------
if [ "$(id -u)" = 0 ]; then
    before=$(backups)
    : >"$log"
    sed -i 's/limit: 2GiB/limit: 120MiB\n  policy: protect-disk/' "$config"
    daemon_start
    wait_for 20 "streaming" said 'message="streaming WAL"'
    wait_for 20 "the stage that is well" looks
    catch_up data
    head -c 2G /dev/zero >"$scratch/repository/ballast" 2>/dev/null
    write_wal 40
    wait_for 20 "a warning" said 'stage=warning before=ok'
    write_wal 40
    wait_for 20 "a critical stage" said 'stage=critical before=warning'
    write_wal 48
    wait_for 20 "letting go" said 'stage=letting-go before=critical'
    same "stages come in their order, to the last" "warning critical letting-go" "$(stages)"
    wait_for 30 "the slot to go" gone && ok "protect-disk lets go of WAL"
    write_wal 48
    sql data -c CHECKPOINT -c CHECKPOINT
    sleep 3
    same "... once" 1 "$(grep -c 'WAL is no longer held back' "$log")"
    rm "$scratch/repository/ballast"
    wait_for 60 "a slot again" said 'stage=ok before='
    wait_for 60 "a new backup" has_backup $((before + 1)) && ok "a new base backup is there"
    catch_up data && ok "WAL is archived again"
    restore points --cluster "$cluster" >"$scratch/out" 2>&1
    says "the gap is named, and covered by the new backup" '^main +[0-9A-F]{24} +[0-9A-F]{24} .* covered'
    daemon_stop
    same "the daemon ends cleanly after letting go" 0 $?
    sed -i 's/limit: 120MiB/limit: 2GiB/; /policy: protect-disk/d' "$config"
fi

# ---- Several hosts -------------------------------------------------------------------------------
sed "s|host=$scratch port=\([0-9]*\)|host=$scratch/none,$scratch port=\1,\1 target_session_attrs=primary|" "$config" >"$scratch/other.yaml"
config=$scratch/other.yaml daemon_start
wait_for 20 "a look at the primary among several hosts" looks && ok "the primary among several hosts is looked at"
daemon_stop

# ---- What is missing is said precisely, and what can be seen without it is -----------------------
: >"$log"
sql data -c "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC"
daemon_start
wait_for 20 "the grant that is missing" said 'no ordinary connection.*GRANT CONNECT ON DATABASE postgres TO keeper' &&
    ok "a missing grant is named"
sleep 3
same "... once" 1 "$(grep -c 'no ordinary connection' "$log")"
check "... and archiving goes on" kill -0 "$daemon"
if [ "$version" -ge 150000 ]; then
    must backup check
    says "check sees a part of it" '^ok +WAL on the server: .*only a part'
    says "... and advises" 'better: GRANT CONNECT ON DATABASE postgres TO keeper'
    settings max_slot_wal_keep_size=64MB
    refuse "... and sees the server's limit" 1 'FAILED slot thresholds: .*max_slot_wal_keep_size is 64' backup check
    settings max_slot_wal_keep_size=-1
else
    refuse "PostgreSQL 14 tells no part of it" 1 'FAILED WAL on the server.*ordinary connection only' backup check
fi
sql data -c "GRANT CONNECT ON DATABASE postgres TO PUBLIC"
pg_stop data fast
pg_start data
wait_for 20 "the whole" said "all of the slot's state is seen again" && ok "what is allowed later is used"
daemon_stop
: >"$log"
sed -i "1i local all keeper reject" "$scratch/data/pg_hba.conf"
sed -i "1i local replication keeper trust" "$scratch/data/pg_hba.conf"
sql data -c "SELECT pg_reload_conf()" >/dev/null
daemon_start
wait_for 20 "the line that is missing" said 'local postgres keeper scram-sha-256' &&
    ok "a missing line of pg_hba.conf is named"
sed -i 1,2d "$scratch/data/pg_hba.conf"
sql data -c "SELECT pg_reload_conf()" >/dev/null
daemon_stop

# ---- A directory that is not there ---------------------------------------------------------------
: >"$log"
sed -i "s|wal_directory: .*|wal_directory: $scratch/nowhere|" "$config"
daemon_start
wait_for 20 "a word on the directory" said 'free space of pg_wal.*not known.*nowhere'
sleep 3
same "a directory that is not there is told once" 1 "$(grep -c 'free space of pg_wal' "$log")"
daemon_stop
same "the daemon ends cleanly at the end" 0 $?
