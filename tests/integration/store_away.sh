#!/bin/bash
# The store is away when the daemon starts: it begins from what it verified last, spools WAL, and
# stores nothing before it has seen that what answers later is its repository.
. "$(dirname "$0")/lib.sh"
unset "${!S3_@}" "${!HQ_S3_@}" "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

lab=$top/tests/lab
log=$scratch/daemon.log
proxy=
store_leaves() {
    [ -z "$proxy" ] || { kill "$proxy"; wait "$proxy" 2>/dev/null; }
    proxy=
}
at_end() {
    store_leaves
    "$lab/rgw-stop.sh" "$scratch/rgw"
}
must "$lab/rgw-start.sh" "$scratch/rgw"
. "$scratch/rgw/env"
chmod 755 "$scratch/rgw"
access=$scratch/access-key secret=$scratch/secret-key
echo "$S3_ACCESS_KEY" >"$access"
echo "$S3_SECRET_KEY" >"$secret"
chown "$user" "$access" "$secret"
chmod 600 "$access" "$secret"
read -r PROXY_PORT nobody < <("$lab/free-ports.py" 2)
cat >"$scratch/haproxy.cfg" <<CFG
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen s3
    bind 127.0.0.1:$PROXY_PORT
    server rgw 127.0.0.1:$S3_PORT
CFG
store_returns() {
    haproxy -db -f "$scratch/haproxy.cfg" >>"$scratch/haproxy.log" 2>&1 &
    proxy=$!
}
export HQ_S3_ACCESS_KEY_FILE=$access HQ_S3_SECRET_KEY_FILE=$secret # for init and the tool
url() { echo "s3://$S3_BUCKET/$1?endpoint=http://127.0.0.1:$S3_PORT"; }
tool() { HQ_S3_ACCESS_KEY=$S3_ACCESS_KEY HQ_S3_SECRET_KEY=$S3_SECRET_KEY "$build/../tests/storage_tool" "$@"; }
repository=$(url tr)
hq_init
restore() { as "$scratch/bin/hq-restore" "$@" --repository "$(url tr)" --key "$scratch/restore.key" --access-key-file "$access" --secret-key-file "$secret"; }
store_config() { # store_config PREFIX
    repository="s3://$S3_BUCKET/$1"
    hq_config data "  endpoint: http://127.0.0.1:$PROXY_PORT
  access_key_file: $access
  secret_key_file: $secret
  timeout: 2s
  retry: 4s" </dev/null
}
said() { grep -qE -- "$1" "$log"; }
fill() { sql data -c "INSERT INTO steps (pad) SELECT md5(random()::text) || repeat('y', 80) FROM generate_series(1, $1)"; }
# away N: so many starts have begun from the copy
away() { [ "$(grep -c 'the store does not answer: WAL is spooled' "$log")" -ge "$1" ]; }
rows() { sql "$1" -c 'SELECT count(*), sum(n) FROM steps'; }
now() { sql data -c 'SELECT pg_current_wal_flush_lsn()'; }
spooled() { [ "$(sql data -c "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'hq-backup' AND write_lsn >= '$1'")" = 1 ]; }
acknowledged() { sql data -c "SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication WHERE application_name = 'hq-backup'"; }

pg_init data
sql data -c "CREATE TABLE steps (n bigserial PRIMARY KEY, pad text)"
store_config tr

# ---- The first start of all ----------------------------------------------------------------------
daemon_start
wait_for 40 "a word on the store" said 'waiting for the store.*code=TRANSIENT'
check "a first start without the store waits for it" kill -0 "$daemon"
daemon_stop
same "... and can be stopped" 0 $?
check "... without having been afraid to say so" sh -c "! grep -q 'hq-backupd ends' '$log'"
daemon_start
wait_for 40 "the wait" sh -c "[ \"\$(grep -c 'waiting for the store' '$log')\" -ge 2 ]"
store_returns
wait_for 60 "the first backup" has_backup 1 && ok "... and goes on when it comes"
fill 1000
catch_up data
check "what repository.json says is kept" test -s "$scratch/state/repository.json"

# ---- Started anew while it is away ---------------------------------------------------------------
store_leaves
fill 20000
wait_for 20 "the spool" spooled "$(now)"
stored=$(reaches)
daemon_kill
daemon_start
wait_for 40 "a start without the store" away 1
fill 20000
sql data -c "SELECT pg_switch_wal()" >/dev/null
fill 1000
wait_for 30 "the spool" spooled "$(now)" && ok "the daemon starts while the store is away, and spools WAL"
same "... acknowledging nothing beyond what is stored" t "$(sql data -c "SELECT '$(acknowledged)'::pg_lsn <= '$stored'::pg_lsn")"
refuse "... and answers questions" 0 'received' backup status
sleep 1
same "... having stored nothing" "$stored" "$(reaches)"
daemon_stop
check "a stop during it leaves the spool" test -n "$(find "$scratch/state" -path '*spool*' -type f)"
daemon_start
wait_for 40 "another start without the store" away 2
fill 1000
store_returns
wait_for 60 "the return of the store" said 'the store answers, and has the repository'
catch_up data && ok "everything drains when the store is back"
same "... without a gap" 0 "$(grep -c 'gap in the WAL\|WAL was lost' "$log")"
check "... and the daemon runs on" kill -0 "$daemon"
check "a backup works then" backup backup
wanted=$(rows data)
check "a restore of the newest state" restore pg --cluster main --latest --to "$scratch/r"
if start_restored r; then same "... has every row" "$wanted" "$(rows r)"; fi
drop_restored r
check "the repository verifies" backup verify --key "$scratch/restore.key"

# ---- Another repository in its place -------------------------------------------------------------
store_leaves
fill 100
wait_for 20 "the spool" spooled "$(now)"
daemon_kill
mkdir "$scratch/other"
chown "$user" "$scratch/other"
must as "$scratch/bin/hq-backup" init --repository "$(url other)" --region TR --writer test \
    --sidecar-key "$scratch/other/sidecar.key" --restore-key "$scratch/other/restore.key" --no-passphrase
store_config other
daemon_start
wait_for 40 "a start without the store" away 3
fill 100
store_returns
ended() { ! kill -0 "$daemon" 2>/dev/null; }
wait_for 60 "the end of the daemon" ended
daemon_stop
same "another repository in its place ends the daemon" 12 $?
check "... saying why" said "hq-backupd ends.*code=KEY.*is not the key file's"
same "... and nothing was stored there" "repository.json" "$(tool "$(url other)" list "" | sed '/^done/d; s/ .*//')"

# ---- A copy that is damaged is none --------------------------------------------------------------
store_leaves
store_config tr
sed -i 's/"region": "TR"/"region": "ES"/' "$scratch/state/repository.json"
daemon_start
wait_for 40 "a word on the copy" said "kept repository.json can't be used.*code=(CORRUPT|REGION)"
store_returns
catch_up data && ok "a damaged copy is told of, and the store waited for"
daemon_stop
same "the daemon ends cleanly" 0 $?
