#!/bin/bash
# The whole cycle on an object store: HTTPS with a CA of its own, credentials from files, a store
# that is rude, refuses or goes away, and PostgreSQL recovering straight from it.
. "$(dirname "$0")/lib.sh"
unset "${!S3_@}" "${!HQ_S3_@}" "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

lab=$top/tests/lab
haproxy=
at_end() {
    [ -z "$haproxy" ] || kill "$haproxy"
    "$lab/rgw-stop.sh" "$scratch/rgw"
}
must "$lab/rgw-start.sh" "$scratch/rgw"
. "$scratch/rgw/env"
chmod 755 "$scratch/rgw"
chmod 644 "$S3_CA"
access=$scratch/access-key secret=$scratch/secret-key
echo "$S3_ACCESS_KEY" >"$access"
echo "$S3_SECRET_KEY" >"$secret"
echo wrongsecret000 >"$scratch/wrong-key"
chown "$user" "$access" "$secret" "$scratch/wrong-key"
chmod 600 "$access" "$secret" "$scratch/wrong-key"

export HQ_S3_ACCESS_KEY_FILE=$access HQ_S3_SECRET_KEY_FILE=$secret # for init alone
tls_url="s3://$S3_BUCKET/tr?endpoint=$S3_TLS_ENDPOINT&ca=$S3_CA"
repository=$tls_url
hq_init
unset HQ_S3_ACCESS_KEY_FILE HQ_S3_SECRET_KEY_FILE
restore() { as "$scratch/bin/hq-restore" "$@" --repository "$repository" --key "$scratch/restore.key" --access-key-file "$access" --secret-key-file "$secret"; }
# store_config [BUCKET [ENDPOINT [SECRET-FILE]]]
store_config() {
    repository="s3://${1:-$S3_BUCKET}/tr"
    hq_config data "  endpoint: ${2:-$S3_TLS_ENDPOINT}
  ca_file: $S3_CA
  access_key_file: $access
  secret_key_file: ${3:-$secret}
  timeout: 2s
  retry: ${retry:-60s}" </dev/null
    repository=$tls_url
}
fill() { sql data -c "INSERT INTO steps (pad) SELECT md5(random()::text) || repeat('y', 80) FROM generate_series(1, $1)"; }
rows() { sql "$1" -c 'SELECT count(*), sum(n) FROM steps'; }
# `hq-backup backup` streams WAL itself where no daemon does, so the daemon has to be first.
daemon_up() {
    local before
    before=$(grep -c 'streaming WAL' "$scratch/daemon.log")
    daemon_start
    wait_for 30 "streaming" sh -c "[ \"\$(grep -c 'streaming WAL' '$scratch/daemon.log')\" -gt $before ]"
}
# comes_back WHAT: a restore of everything has the rows the server has
comes_back() {
    local wanted
    wanted=$(rows data)
    if ! restore pg --cluster main --latest --to "$scratch/r" >"$scratch/out" 2>&1; then
        not_ok "$1: restore" "$scratch/out"
    elif start_restored r; then
        same "$1" "$wanted" "$(rows r)"
    fi
}

pg_init data
sql data -c "CREATE TABLE steps (n bigserial PRIMARY KEY, pad text)"
store_config
check "check over HTTPS" backup check
daemon_start
wait_for 60 "the first backup" has_backup 1
fill 5000
sql data -c "SELECT pg_switch_wal()" >/dev/null
fill 100
catch_up data
comes_back "PostgreSQL recovers from the store by wal-get"
same "no secret is in the restored directory or the log" "" \
    "$(grep -rlF "$S3_SECRET_KEY" "$scratch/r" "$scratch/daemon.log")"
drop_restored r

# The store goes away while WAL streams: commits go on, nothing is lost.
gateway=$(tail -n 1 "$scratch/rgw/pids")
kill -STOP "$gateway"
for _ in 1 2 3 4 5; do fill 2000; sleep 1; done
kill -CONT "$gateway"
catch_up data
check "the daemon outlives a store that stood still for 5 s" kill -0 "$daemon"
daemon_stop
same "the daemon ends cleanly" 0 $?
comes_back "nothing written meanwhile is lost"
drop_restored r

# A store that answers 500 after it did the work, and one that says SlowDown.
read -r SLOWDOWN_PORT SWALLOW_PORT CUT_PORT LIE_PORT SKEW_PORT ELSEWHERE_PORT LOST_PORT \
    EARLY_PORT V1_PORT SIX_PORT nobody < <("$lab/free-ports.py" 11)
export SLOWDOWN_PORT SWALLOW_PORT CUT_PORT LIE_PORT SKEW_PORT ELSEWHERE_PORT LOST_PORT EARLY_PORT
export V1_PORT SIX_PORT
BACKEND_PORT=$S3_PORT RATE=20 SLOW_RATE=10 haproxy -db -f "$lab/haproxy-fault.cfg" >"$scratch/haproxy.log" 2>&1 &
haproxy=$!
wait_for 5 "haproxy" bash -c "exec 3<>/dev/tcp/127.0.0.1/$LIE_PORT"
for fault in lie:$LIE_PORT slowdown:$SLOWDOWN_PORT; do
    sql data -c "UPDATE steps SET pad = md5(random()::text)"
    store_config "" "http://127.0.0.1:${fault#*:}"
    daemon_up
    check "a backup through the fault ${fault%:*}" backup backup
    catch_up data
    daemon_stop
    same "the daemon ends cleanly after ${fault%:*}" 0 $?
done
store_config
check "the repository verifies after it" backup verify --key "$scratch/restore.key"
comes_back "and restores"
drop_restored r

retry=2s
store_config "" "" "$scratch/wrong-key"
refuse "a wrong secret key" 7 "SignatureDoesNotMatch" backup backup
refuse "... which check explains" 1 "SignatureDoesNotMatch" backup check
secret_file=$secret secret=$scratch/wrong-key
refuse "a wrong secret key at a restore" 7 "SignatureDoesNotMatch" restore points
secret=$secret_file
store_config nosuchbucket
refuse "no such bucket" 7 "NoSuchBucket" backup backup
store_config "" "https://localhost:$nobody"
refuse "a store that is not there" 14 "tries" backup backup
chmod 644 "$secret"
store_config
refuse "a secret everybody can read" 7 "secret-key.*everybody" backup backup
