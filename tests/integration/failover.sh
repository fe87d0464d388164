#!/bin/bash
# Failover and lineages with real servers: hosts of a connection, promotion under load, switchover and
# back, a pg_rewind'ed member, a restored cluster that goes on, another system under the name, and a
# move to another major version. After each step restores to before and after it, rows compared.
# HQ_FAILOVER_PART: one of hosts, member, lineage and newer. Each begins with servers of its own;
# without it they run one after the other.
if [ -z "${HQ_FAILOVER_PART:-}" ]; then
    status=0
    for part in hosts member lineage newer; do HQ_FAILOVER_PART=$part bash "$0" || status=1; done
    exit $status
fi
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tools=/usr/lib/postgresql/15/bin
case $HQ_FAILOVER_PART in hosts|member|lineage|newer) ;; *) not_ok "no part is called $HQ_FAILOVER_PART"; exit 1 ;; esac
wanted() { [ "$HQ_FAILOVER_PART" = "$1" ]; }

load=
silent=
at_end() { [ -z "$load$silent" ] || kill -9 $load $silent 2>/dev/null; }

# ---- members of one cluster: directories a and b, each primary or standby in turn ----------------
# standby_of NAME PRIMARY: a cold copy of PRIMARY, which follows it through a slot of its own
standby_of() {
    port_of[$1]=$next_port
    next_port=$((next_port + 1))
    must sql "$2" -c "SELECT pg_create_physical_replication_slot('member_$1')"
    pg_stop "$2" fast
    must as cp -r "$scratch/$2" "$scratch/$1"
    rm -rf "$scratch/$1"/pg_replslot/*
    pg_start "$2"
    follow "$1" "$2"
}
# follow NAME PRIMARY: (re)start NAME as a standby
follow() {
    cat >>"$scratch/$1/postgresql.auto.conf" <<CONF
port = ${port_of[$1]}
primary_conninfo = 'host=$scratch port=${port_of[$2]} user=postgres application_name=$1'
primary_slot_name = 'member_$1'
recovery_target_timeline = latest
CONF
    as touch "$scratch/$1/standby.signal"
    pg_start "$1"
}
# slot_for PRIMARY NAME: the slot that NAME follows through, on a new primary
slot_for() { sql "$1" -c "SELECT pg_create_physical_replication_slot('member_$2', true) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'member_$2')" >/dev/null; }
promote() { must sql "$1" -c "SELECT pg_promote(true, 30)"; }
in_step() { [ "$(sql "$1" -c "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$2' AND replay_lsn >= pg_current_wal_flush_lsn()")" = 1 ]; }
timeline() { sql "$1" -c "SELECT timeline_id FROM pg_control_checkpoint()"; }
now() { sql "$1" -c "SELECT clock_timestamp()"; }
# hosts of the connection: both members, in this order
connection() { # connection target_session_attrs NAME...
    local attributes=$1 hosts= ports= name; shift
    for name; do
        hosts=$hosts${hosts:+,}$scratch
        ports=$ports${ports:+,}${port_of[$name]:-$name}
    done
    echo "host=$hosts port=$ports user=postgres connect_timeout=3 target_session_attrs=$attributes"
}
connect_to() { sed -i "s|^  connection: .*|  connection: \"$(connection "$@")\"|" "$config"; }
# reached NAME: `check` says that this member was connected to
reached() { grep -q "at $scratch:${port_of[$1]}, system" "$scratch/out"; }

# ---- load: one row after the other into whichever member takes writes ----------------------------
load_start() { # load_start NAME...
    local target; target=$(connection read-write "$@")
    : >"$scratch/acknowledged"
    ( n=0
      while :; do
          n=$((n + 1))
          psql -X -A -t -q -d "$target dbname=postgres" -c "INSERT INTO seen (who, n) SELECT current_setting('port'), $n" >/dev/null 2>&1 && echo $n >>"$scratch/acknowledged"
      done ) &
    load=$!
}
load_stop() { kill -9 "$load" 2>/dev/null; wait "$load" 2>/dev/null; sleep 0.1; load=; }
acknowledged() { wc -l <"$scratch/acknowledged"; }
more_rows() { [ "$(acknowledged)" -ge "$1" ]; }
# mark NAME PRIMARY: a moment without a commit around it, and the rows there are then
declare -A time_of
mark() {
    sleep 0.1
    time_of[$1]=$(now "$2")
    rows "$2" >"$scratch/rows.$1"
    sleep 0.1
    must sql "$2" -c "INSERT INTO seen (who, n) VALUES ('after $1', 0)"
}
rows() { sql "$1" -c "SELECT who, n, at FROM seen ORDER BY at, n"; }
# restored NAME OPTIONS...: restore, compare with the rows of mark NAME
restored() {
    local what=$1 mark=$2; shift 2
    if ! restore pg --cluster "$cluster" --to "$scratch/r" "$@" >"$scratch/out" 2>&1; then
        not_ok "$what: restore" "$scratch/out"; rm -rf "$scratch/r"; return
    fi
    start_restored r && { rows r >"$scratch/rows.r"; diff "$scratch/rows.$mark" "$scratch/rows.r" >"$scratch/out"
        if [ -s "$scratch/out" ]; then not_ok "$what" "$scratch/out"; else ok "$what ($(wc -l <"$scratch/rows.r") rows)"; fi; }
    drop_restored r
}
to_mark() { restored "$1" "$2" --target-time "${time_of[$2]}"; }
# streams_from NAME: the daemon streams from this member, by what it said since look_from_now
look_from_now() { log_from=$(wc -l <"$scratch/daemon.log"); }
said() { tail -n +$((log_from + 1)) "$scratch/daemon.log" | grep -q -- "$1"; }
log_from=0
streams_from() { tail -n +$((log_from + 1)) "$scratch/daemon.log" | grep 'message="streaming WAL"' | tail -n 1 | grep -q "host=$scratch:${port_of[$1]} " && kill -0 "$daemon"; }
# some_range_reaches PG LSN: the newest range may be another system's
some_range_reaches() {
    local to
    for to in $(restore points --cluster "$cluster" --json 2>/dev/null | grep -o '"to_lsn": *"[^"]*"' | grep -o '[0-9A-F]*/[0-9A-F]*'); do
        [ "$(sql "$1" -c "SELECT '$to'::pg_lsn >= '$2'::pg_lsn")" = f ] || return 0
    done
    return 1
}
# history_first TIMELINE: nothing of the timeline was stored before its history file
history_first() {
    local history; history=$(echo "$repository"/wal/main/*/"$1".history)
    if [ -f "$history" ] && [ -z "$(find "${history%.history}" -type f ! -newer "$history")" ]; then
        ok "the history of timeline $1 is stored before its WAL"
    else
        not_ok "the history of timeline $1 is stored before its WAL"
    fi
}

pg_init a
cat >>"$scratch/a/postgresql.conf" <<CONF
wal_log_hints = on
wal_keep_size = 1GB
max_wal_size = 4GB
CONF
pg_stop a fast; pg_start a
hq_init
hq_config a <<YAML
wal:
  flush_interval: 200ms
  wait_timeout: 20s
YAML
must sql a -c 'CREATE TABLE seen (who text, n int, at timestamptz DEFAULT clock_timestamp())'
standby_of b a

if wanted hosts; then
    # ---- which of several hosts --------------------------------------------------------------
    python3 -c "
import socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(8)
print(s.getsockname()[1], flush=True); time.sleep(600)" >"$scratch/silent" &
    silent=$!
    wait_for 10 "a silent port" test -s "$scratch/silent"

    connect_to primary b a
    check "a primary is found behind a standby" backup check
    reached a || not_ok "it is the primary" "$scratch/out"
    connect_to standby a b
    backup check >"$scratch/out" 2>&1; reached b && ok "a standby is found behind a primary" || not_ok "a standby is found" "$scratch/out"
    connect_to prefer-standby a b
    backup check >"$scratch/out" 2>&1; reached b && ok "a standby is preferred" || not_ok "a standby is preferred" "$scratch/out"
    connect_to prefer-standby 1 a
    backup check >"$scratch/out" 2>&1; reached a && ok "without one the primary will do" || not_ok "without a standby the primary will do" "$scratch/out"
    connect_to read-only b a
    backup check >"$scratch/out" 2>&1; reached b && ok "what is read-only is found" || not_ok "what is read-only is found" "$scratch/out"
    connect_to any 1 b
    backup check >"$scratch/out" 2>&1; reached b && ok "any that answers" || not_ok "any that answers" "$scratch/out"
    # A host that takes the connection and says nothing does not hide those after it.
    sed -i "s|^  connection: .*|  connection: \"host=127.0.0.1,$scratch port=$(cat "$scratch/silent"),${port_of[a]} user=postgres connect_timeout=2 target_session_attrs=primary\"|" "$config"
    began=$(date +%s)
    backup check >"$scratch/out" 2>&1; reached a && [ $(($(date +%s) - began)) -le 12 ] && ok "a silent host is passed over" || not_ok "a silent host is passed over" "$scratch/out"
    connect_to primary b 1
    refuse "each host has its reason" 1 "none of 2 hosts will do \(primary is wanted\): $scratch:${port_of[b]}: it is a standby; $scratch:1: connection to server" backup check
    connect_to standby a
    refuse "and so has the only one" 1 "connect to PostgreSQL: $scratch:${port_of[a]}: it is a primary" backup check
    connect_to nonsense a b
    refuse "an attribute that there is not" 1 "target_session_attrs is \"nonsense\"" backup check
    pg_init other
    connect_to primary a other
    refuse "two systems in one list" 1 "are primaries of different systems" backup check
    drop_restored other
    # Both are primaries: the former one is passed over, in either order.
    pg_stop b fast; must as cp -r "$scratch/b" "$scratch/c"; pg_start b; port_of[c]=$next_port; next_port=$((next_port + 1))
    echo "port = ${port_of[c]}" >>"$scratch/c/postgresql.auto.conf"
    pg_start c; promote c
    for order in "a c" "c a"; do
        connect_to primary $order
        backup check >"$scratch/out" 2>&1
        reached c && grep -q 'a former primary is up.*timeline=1 newest=2' "$scratch/out" &&
            ok "of two primaries the newer timeline's, in the order $order" || not_ok "of two primaries the newer timeline's" "$scratch/out"
    done
    drop_restored c
    sql a -c "SELECT pg_drop_replication_slot('hq_test')" >/dev/null 2>&1
fi

if wanted member; then
    # ---- promotion under load ----------------------------------------------------------------
    connect_to primary a b
    load_start a b
    daemon_start
    wait_for 60 "the first backup" has_backup
    wait_for 30 "some rows" more_rows 20
    load_stop; wait_for 20 "the standby" in_step a b; mark first a; load_start a b
    sleep 1
    look_from_now
    pg_stop a immediate
    promote b
    slot_for b a
    check "the daemon goes on with the promoted standby" wait_for 60 "the daemon" streams_from b
    wait_for 60 "rows of the new primary" more_rows 20
    load_stop; mark promoted b; catch_up b
    same "the slot is made on the new primary" physical "$(sql b -c "SELECT slot_type FROM pg_replication_slots WHERE slot_name = 'hq_test'")"
    history_first 00000002
    to_mark "restored to before the promotion" first
    to_mark "restored to after the promotion" promoted

    # ---- the former primary comes up again ---------------------------------------------------
    pg_start a
    sql a -c "INSERT INTO seen (who, n) VALUES ('astray', 0)"
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    look_from_now
    daemon_start
    check "the daemon stays with the new primary" wait_for 30 "the daemon" streams_from b
    said "a former primary is up.*host=$scratch:${port_of[a]} " && ok "and says what the other is" || not_ok "and says what the other is" "$scratch/daemon.log"
    connect_to primary a
    refuse "the former primary alone is refused" 7 'timeline 2, and the server is on timeline 1' backup backup
    connect_to primary a b

    # ---- rewound, promoted, and back again ---------------------------------------------------
    pg_stop a fast
    must as "$tools/pg_rewind" -D "$scratch/a" --source-server="$(connection any b) dbname=postgres"
    echo "port = ${port_of[a]}" >>"$scratch/a/postgresql.auto.conf"
    follow a b
    load_start a b
    wait_for 30 "rows" more_rows 10
    wait_for 30 "the rewound member" in_step b a
    load_stop; mark rewound b
    look_from_now
    pg_stop b fast
    promote a; slot_for a b; follow b a
    load_start a b
    check "the daemon goes on with the rewound member" wait_for 60 "the daemon" streams_from a
    wait_for 30 "rows" more_rows 10
    load_stop; mark over a
    wait_for 30 "the other member" in_step a b
    look_from_now
    pg_stop a fast
    promote b; slot_for b a; follow a b
    check "and back with the other" wait_for 60 "the daemon" streams_from b
    must sql b -c "INSERT INTO seen (who, n) VALUES ('back', 0)"
    mark back b; catch_up b
    history_first 00000003
    history_first 00000004
    to_mark "restored to before the switchover" rewound
    to_mark "restored to after the switchover" over
    to_mark "restored to after the way back" back

    # ---- the slot is lost, its WAL is not ----------------------------------------------------
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    must sql b -c "SELECT pg_drop_replication_slot('hq_test')"
    look_from_now
    must sql b -c "INSERT INTO seen (who, n) SELECT 'between', g FROM generate_series(1, 1000) g"
    daemon_start
    check "a slot that was dropped is made again" wait_for 30 "the daemon" streams_from b
    mark slot b; catch_up b
    to_mark "restored to after the slot was made again" slot
    same "one stretch without a hole" 1 "$(restore points --cluster main --json | grep -c '"from_lsn"')"

    # ---- a base backup from the standby ------------------------------------------------------
    sed -i "s|^  slot:|  backup_connection: \"$(connection prefer-standby b a)\"\n  slot:|" "$config"
    wait_for 30 "the standby" in_step b a
    check "a backup from the standby" backup backup
    mark standby b; catch_up b
    newest=$(restore points --cluster main --json | grep -o '"backup": *"[^"]*"' | tail -n 1 | cut -d '"' -f 4)
    restored "restored from the standby's backup" standby --target-time "${time_of[standby]}" --backup "$newest"
    pg_stop a fast
    check "without a standby the primary is backed up" backup backup
    sed -i '/backup_connection/d' "$config"

    # ---- a restored cluster goes on in the same repository -----------------------------------
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    pg_stop b fast
    must restore pg --cluster main --to "$scratch/again" --target-time "${time_of[over]}"
    start_restored again
    connect_to primary a b again
    look_from_now
    daemon_start
    check "a restored cluster goes on in the repository" wait_for 60 "the daemon" streams_from again
    must sql again -c "INSERT INTO seen (who, n) VALUES ('again', 0)"
    mark again again; catch_up again
    history_first 00000005
    to_mark "restored to after the restore" again
    restored "and along the abandoned timeline" standby --target-time "${time_of[standby]}" --target-timeline 4
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
fi

if wanted lineage; then
    # ---- another system under the cluster's name: a move to PostgreSQL 17 by dump and restore ----
    new_bin=$(sh "$top/tests/lab/postgres.sh" 17)
    connect_to primary a
    pg_stop b fast
    daemon_start
    wait_for 60 "the first backup" has_backup
    sql a -c "INSERT INTO seen (who, n) SELECT 'old', g FROM generate_series(1, 50) g" >/dev/null
    mark old a; catch_up a
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    old_bin=$pg_bin
    pg_bin=$new_bin
    pg_init new
    "$tools/pg_dump" -h "$scratch" -p "${port_of[a]}" -U postgres -t seen postgres >"$scratch/dump"
    must sql new -f "$scratch/dump"
    connect_to primary new
    refuse "a backup of another system is refused" 7 'is system [0-9]+, the server is [0-9]+' backup backup
    grep -q 'lineage accept' "$scratch/out" && ok "with advice" || not_ok "with advice" "$scratch/out"
    refuse "accepting wants a reason" 2 'reason' backup lineage accept
    look_from_now
    daemon_start
    check "its WAL is refused" wait_for 30 "the refusal" said 'is system [0-9]*, the server is'
    daemon_kill

    connect_to primary a
    check "the cluster itself has nothing to accept" backup lineage accept --reason test
    grep -q "Nothing to accept" "$scratch/out" || not_ok "and says so" "$scratch/out"
    connect_to primary new
    check "the new system is accepted" backup lineage accept --reason 'moved to 17' --who 'Ada L.'
    check "the story is listed" backup lineage list
    grep -q '2\* .*Ada L\. *moved to 17' "$scratch/out" && ok "with name and reason" || not_ok "with name and reason" "$scratch/out"
    look_from_now
    daemon_start
    check "a new lineage begins with a backup" wait_for 60 "the backup" said 'backup complete'
    sql new -c "INSERT INTO seen (who, n) SELECT 'new', g FROM generate_series(1, 50) g" >/dev/null
    mark new new; catch_up new
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    connect_to primary a
    refuse "the former system is refused" 7 'which it was before' backup backup

    same "both lineages are recoverable" "1 2" "$(restore points --cluster main --json | grep -o '"lineage": *[0-9]*' | grep -o '[0-9]*$' | sort -u | xargs)"
    to_mark "restored to the new system" new
    restore plan --cluster main --target-time "${time_of[old]}" >"$scratch/out" 2>&1
    grep -q 'Lineage    1, system .* the cluster is another system by now' "$scratch/out" && ok "the plan names the lineage" || not_ok "the plan names the lineage" "$scratch/out"
    pg_bin=$old_bin
    to_mark "restored to the old system" old

    # ---- and back: the new version was a disappointment --------------------------------------
    check "the former system is accepted again" backup lineage accept --reason 'back to 15'
    look_from_now
    daemon_start
    check "it goes on where its WAL ended" wait_for 30 "the daemon" streams_from a
    sql a -c "INSERT INTO seen (who, n) VALUES ('back', 0)" >/dev/null
    mark back a; wait_for 10 "WAL of the old lineage" some_range_reaches a "$(sql a -c 'SELECT pg_current_wal_flush_lsn()')"
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    to_mark "restored to the system that came back" back
    pg_bin=$new_bin
    to_mark "and to the one between" new
fi

if wanted newer; then
    # ---- 17, whose failover slots are for logical slots alone ------------------------------------
    as "$pg_bin/pg_ctl" -D "$scratch/b" -m immediate -s stop 2>/dev/null
    pg_bin=$(sh "$top/tests/lab/postgres.sh" 17)
    cluster=seventeen
    pg_init x
    echo 'hot_standby_feedback = on' >>"$scratch/x/postgresql.conf"
    pg_stop x fast; pg_start x
    sed -i "s/^  name: .*/  name: $cluster/" "$config"
    must sql x -c 'CREATE TABLE seen (who text, n int, at timestamptz DEFAULT clock_timestamp())'
    standby_of y x
    sed -i "s/application_name=y'/application_name=y dbname=postgres'/" "$scratch/y/postgresql.auto.conf"
    echo 'sync_replication_slots = on' >>"$scratch/y/postgresql.auto.conf"
    pg_stop y fast; pg_start y
    connect_to primary x y
    refuse "a physical slot can't be a failover slot" 1 'conflicting or redundant options' \
        psql -X -q -d "host=$scratch port=${port_of[x]} user=postgres replication=true" -c 'CREATE_REPLICATION_SLOT p PHYSICAL (FAILOVER)' -v ON_ERROR_STOP=1
    load_start x y
    daemon_start
    wait_for 60 "the first backup" has_backup
    wait_for 30 "some rows" more_rows 10
    load_stop; wait_for 20 "the standby" in_step x y; mark first x; catch_up x; load_start x y
    same "the slot is not carried to the standby" 0 "$(sql y -c "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'hq_test'")"
    look_from_now
    pg_stop x immediate
    promote y
    check "17: the daemon goes on with the promoted standby" wait_for 60 "the daemon" streams_from y
    load_stop; mark promoted y; catch_up y
    same "17: the slot is made on the new primary" physical "$(sql y -c "SELECT slot_type FROM pg_replication_slots WHERE slot_name = 'hq_test'")"
    daemon_stop || not_ok "the daemon stops" "$scratch/daemon.log"
    to_mark "17: restored to before the promotion" first
    to_mark "17: restored to after the promotion" promoted
fi
