#!/bin/bash
# swift-start.sh DIR: OpenStack Swift with s3api (proxy, account, container and object server, one
# replica) on 127.0.0.1, in DIR, whose file system must have user xattrs.
#
#   SWIFT_PORTS "proxy object container account"   free ports are chosen where it is not set
#   S3_SECRET_KEY, S3_BUCKET
#
# A second S3, strict and odd: its access key holds a colon. Writes DIR/env and DIR/pids.
# Debian packages: swift-proxy swift-account swift-container swift-object
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -e "$dir/swift.conf" ] || { echo "$dir already holds a Swift" >&2; exit 1; }
read -r port object_port container_port account_port \
    <<< "${SWIFT_PORTS:-$("$here/free-ports.py" 4)}"
access_key=test:tester
secret_key=${S3_SECRET_KEY:-testsecretkey0123456789}
bucket=${S3_BUCKET:-testbucket}
mkdir -p "$dir"/{srv/d1,log,cache}

cat > "$dir/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = lab
swift_hash_path_prefix = lab
[storage-policy:0]
name = default
default = yes
CONF
/usr/bin/python3 - "$dir" object:$object_port container:$container_port account:$account_port <<'PY'
import sys
from swift.common.ring import RingBuilder

for ring in sys.argv[2:]:
    name, port = ring.split(":")
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1.0,
                         replication_ip="127.0.0.1", replication_port=int(port), meta=""))
    builder.rebalance()
    builder.get_ring().save("%s/%s.ring.gz" % (sys.argv[1], name))
PY
server_conf() {
    cat > "$dir/$1-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
workers = 0
user = $(id -un)
swift_dir = $dir
devices = $dir/srv
mount_check = false
disable_fallocate = true
recon_cache_path = $dir/cache
log_level = WARNING
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
CONF
}
server_conf object $object_port
server_conf container $container_port
server_conf account $account_port
cat > "$dir/proxy-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
workers = 0
user = $(id -un)
swift_dir = $dir
log_level = WARNING
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
dns_compliant_bucket_names = true
allow_multipart_uploads = true
min_segment_size = 5242880
force_swift_request_proxy_log = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = $secret_key .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
CONF

: > "$dir/pids"
for name in account container object proxy; do
    /usr/bin/python3 "/usr/bin/swift-$name-server" "$dir/$name-server.conf" \
        > "$dir/log/$name.out" 2>&1 < /dev/null &
    echo $! >> "$dir/pids"
done
# Signature version 2 by hand, for curl's -u can't carry a key with a colon.
for ((i = 0; i < 300; i++)); do
    date=$(LC_ALL=C date -uR)
    signature=$(printf 'PUT\n\n\n%s\n/%s' "$date" "$bucket" |
        openssl dgst -sha1 -hmac "$secret_key" -binary | base64)
    status=$(curl -s -o /dev/null -w '%{http_code}' -X PUT -H "Date: $date" \
        -H "Authorization: AWS $access_key:$signature" "http://127.0.0.1:$port/$bucket") || true
    [ "$status" = 200 ] && break
    kill -0 "$(tail -1 "$dir/pids")" || { echo "the proxy died: $dir/log" >&2; exit 1; }
    sleep 0.1
done
((i < 300)) || { echo "Swift is not ready: $dir/log" >&2; exit 1; }
cat > "$dir/env" <<ENV
S3_ENDPOINT=http://127.0.0.1:$port
S3_PORT=$port
S3_ACCESS_KEY=$access_key
S3_SECRET_KEY=$secret_key
S3_BUCKET=$bucket
S3_REGION=us-east-1
ENV
