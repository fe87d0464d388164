#!/bin/bash
# rgw-start.sh DIR: a Ceph RADOS Gateway (1 monitor, 1 OSD, 1 gateway) on 127.0.0.1, in DIR.
#
#   RGW_PORT, RGW_TLS_PORT, RGW_MON_PORT   free ports are chosen where they are not set
#   RGW_STORE        memstore (default; forgets everything) or bluestore
#   S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET
#
# Writes DIR/env (S3_* variables), DIR/ca.crt and DIR/pids; rgw-stop.sh ends it.
# Debian packages: ceph-mon ceph-osd radosgw ceph-common
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -e "$dir/ceph.conf" ] || { echo "$dir already holds a cluster" >&2; exit 1; }
read -r port tls_port mon_port < <("$here/free-ports.py" 3)
port=${RGW_PORT:-$port} tls_port=${RGW_TLS_PORT:-$tls_port} mon_port=${RGW_MON_PORT:-$mon_port}
store=${RGW_STORE:-memstore}
access_key=${S3_ACCESS_KEY:-testaccesskey}
secret_key=${S3_SECRET_KEY:-testsecretkey0123456789}
bucket=${S3_BUCKET:-testbucket}
conf=$dir/ceph.conf
fsid=$(cat /proc/sys/kernel/random/uuid)
mkdir -p "$dir"/{mon,osd,rgw,log,run}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=lab-ca \
    -keyout "$dir/ca.key" -out "$dir/ca.crt" -addext basicConstraints=critical,CA:TRUE 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$dir/tls.key" -out "$dir/tls.csr" 2>/dev/null
openssl x509 -req -in "$dir/tls.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial \
    -days 30 -out "$dir/tls.crt" -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) \
    2>/dev/null

# ms_mon_client_mode=crc: without cephx the gateway can't negotiate a secure connection.
# tcp_nodelay: each small GET takes 47 ms without it. rgw_gc_*: else memstore only grows.
cat > "$conf" <<CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$mon_port/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
keyring = $dir/keyring
run_dir = $dir/run
admin_socket =
pid_file =
log_file = $dir/log/\$name.log
crash_dir = $dir/log
ms_bind_ipv6 = false
ms_bind_msgr1 = false
ms_mon_client_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 2
osd_pool_default_pgp_num = 2
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_warn_on_pool_no_redundancy = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
auth_allow_insecure_global_id_reclaim = true
mon_warn_on_insecure_global_id_reclaim_allowed = false
[mon]
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_data = $dir/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_cluster_log_file = $dir/log/cluster.log
[osd]
osd_data = $dir/osd
osd_objectstore = $store
memstore_device_bytes = 4294967296
bluestore_block_size = 21474836480
bluestore_block_create = true
bluestore_block_db_create = false
bluestore_block_wal_create = false
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_class_update_on_start = true
osd_crush_initial_weight = 1
bdev_enable_discard = false
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
[client.rgw]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1 ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$dir/tls.crt ssl_private_key=$dir/tls.key
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_thread_pool_size = 64
rgw_max_chunk_size = 4194304
rgw_override_bucket_index_max_shards = 1
rgw_run_sync_thread = false
rgw_dns_name = localhost
rgw_bucket_quota_ttl = 0
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_gc_processor_max_time = 5
rgw_gc_max_queue_size = 13421772
CONF

: > "$dir/pids"
start() {
    "$@" -c "$conf" -f > "$dir/log/$(basename "$1").out" 2>&1 < /dev/null &
    echo $! >> "$dir/pids"
}
ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' > /dev/null
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap" > /dev/null
ceph-mon -c "$conf" --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
start ceph-mon -i a
osd_id=$(cat /proc/sys/kernel/random/uuid)
ceph -c "$conf" --connect-timeout 20 osd new "$osd_id" > /dev/null
ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd_id" > "$dir/log/osd.mkfs" 2>&1
start ceph-osd -i 0
start radosgw -n client.rgw
for ((i = 0; i < 600; i++)); do
    curl -fsS -o /dev/null "http://127.0.0.1:$port/" 2> /dev/null && break
    kill -0 "$(tail -1 "$dir/pids")" || { echo "radosgw died: $dir/log" >&2; exit 1; }
    sleep 0.1
done
((i < 600)) || { echo "radosgw is not ready: $dir/log" >&2; exit 1; }

radosgw-admin -c "$conf" -n client.rgw user create --uid=test --display-name=test \
    --access-key="$access_key" --secret-key="$secret_key" > /dev/null 2> "$dir/log/user.err"
curl -fsS -X PUT -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" --aws-sigv4 aws:amz:us-east-1:s3 \
    -u "$access_key:$secret_key" "http://127.0.0.1:$port/$bucket"
cat > "$dir/env" <<ENV
S3_ENDPOINT=http://127.0.0.1:$port
S3_PORT=$port
S3_TLS_ENDPOINT=https://localhost:$tls_port
S3_CA=$dir/ca.crt
S3_ACCESS_KEY=$access_key
S3_SECRET_KEY=$secret_key
S3_BUCKET=$bucket
S3_REGION=us-east-1
ENV
