#!/bin/bash
# Failover and lineages with real servers: hosts of a connection, promotion under load, switchover and
# back, a pg_rewind'ed member, a restored cluster that goes on, another system under the name, and a
# move to another major version. After each step restores to before and after it, rows compared.
# HQ_FAILOVER_PARTS: only these of "hosts member lineage" (default: all).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parts=${HQ_FAILOVER_PARTS:-hosts member lineage}
wanted() { [[ " $parts " == *" $1 "* ]]; }

# ---- members of one cluster: directories a and b, each primary or standby in turn ----------------
# standby_of NAME PRIMARY: a copy of PRIMARY, which follows it through a slot of its own
standby_of() {
    port_of[$1]=$next_port
    next_port=$((next_port + 1))
    must as "$pg_bin/pg_basebackup" -D "$scratch/$1" -h "$scratch" -p "${port_of[$2]}" -U postgres \
        -c fast -X stream -C -S "member_$1"
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

pg_init a
cat >>"$scratch/a/postgresql.conf" <<CONF
wal_log_hints = on
max_wal_size = 4GB
CONF
pg_stop a fast; pg_start a
hq_init
hq_config a </dev/null
must sql a -c 'CREATE TABLE seen (who text, n int, at timestamptz DEFAULT clock_timestamp())'
standby_of b a

if wanted hosts; then
    # ---- which of several hosts --------------------------------------------------------------
    python3 -c "
import socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(8)
print(s.getsockname()[1], flush=True); time.sleep(600)" >"$scratch/silent" &
    silent=$!
    at_end() { kill $silent 2>/dev/null; }
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
