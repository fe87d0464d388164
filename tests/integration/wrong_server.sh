#!/bin/bash
# Servers that answer in place of the one that was followed: a twin that was promoted to the same
# timeline number elsewhere, another system. They are refused, nothing is made on them, and the right
# one is gone on with where it was left.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

log_from=0
look_from_now() { log_from=$(wc -l <"$scratch/daemon.log"); }
said() { tail -n +$((log_from + 1)) "$scratch/daemon.log" | grep -qE -- "$1"; }
streams_from() { tail -n +$((log_from + 1)) "$scratch/daemon.log" | grep 'message="streaming WAL"' | tail -n 1 | grep -q "host=$scratch:${port_of[$1]} "; }
slots() { sql "$1" -c "SELECT count(*) FROM pg_replication_slots"; }
write() { must sql "$1" -c "INSERT INTO t SELECT generate_series(1, ${2:-1000})"; }
# promoted NAME: a copy of the stopped primary, promoted to timeline 2
promoted() {
    port_of[$1]=$next_port
    next_port=$((next_port + 1))
    must as cp -r "$scratch/first" "$scratch/$1"
    echo "port = ${port_of[$1]}" >>"$scratch/$1/postgresql.conf"
    as touch "$scratch/$1/standby.signal"
    pg_start "$1"
    must sql "$1" -c "SELECT pg_promote(true, 30)"
    same "$1 is on timeline 2" 2 "$(sql "$1" -c "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")"
}

pg_init first --wal-segsize=1
sql first -c "CREATE TABLE t (n int)"
pg_stop first fast
promoted right
pg_start first
write first
pg_stop first fast
promoted twin
write twin 100000
pg_stop twin fast

hq_init
hq_config right </dev/null
sed -i "s|^  connection: .*|  connection: \"host=$scratch,$scratch port=${port_of[twin]},${port_of[right]} user=postgres target_session_attrs=primary\"|" "$config"
daemon_start
wait_for 60 "the first backup" has_backup 1
write right
catch_up right

look_from_now
pg_start twin
pg_stop right
check "a twin on the same timeline number is refused" wait_for 30 "the refusal" said 'this server.s WAL is refused.*began elsewhere'
same "and no slot is made on it" 0 "$(slots twin)"
pg_start right
check "beside the twin the right one is gone on with" wait_for 60 "the stream" streams_from right
said "from=0/[0-9A-F]*00000 " && not_ok "from where it was left" "$scratch/daemon.log" || ok "from where it was left"
write right
catch_up right
daemon_stop || not_ok "the daemon ends cleanly" "$scratch/daemon.log"

look_from_now
pg_stop right
daemon_start
check "after a restart the twin is refused too" wait_for 30 "the refusal" said 'this server.s WAL is refused.*began elsewhere'
same "and no slot is made on it" 0 "$(slots twin)"
pg_start right
wait_for 60 "the stream" streams_from right
write right
catch_up right
pg_stop twin fast

# Another system at the right one's address, as after a mistake with an address or a service.
look_from_now
pg_stop right
pg_init other --wal-segsize=1
pg_stop other fast
echo "port = ${port_of[right]}" >>"$scratch/other/postgresql.conf"
port_of[other]=${port_of[right]}
pg_start other
check "another system is refused" wait_for 60 "the refusal" said 'this server.s WAL is refused.*is system'
same "and no slot is made on it" 0 "$(slots other)"
pg_stop other fast
look_from_now
pg_start right
check "and the right one is gone on with" wait_for 60 "the stream" streams_from right
said "from=0/[0-9A-F]*00000 " && not_ok "from where it was left" "$scratch/daemon.log" || ok "from where it was left"
write right
catch_up right
same "one stretch without a hole" 1 "$(restore points --cluster main --json | grep -c '"from_lsn"')"
check "nothing is mixed" backup verify
daemon_stop || not_ok "the daemon ends cleanly" "$scratch/daemon.log"
