#!/bin/bash
# storage.sh BIN: the S3 driver against real servers (Ceph's gateway over HTTP and HTTPS, OpenStack
# Swift) and through faults (haproxy, a stalling proxy, a stopped server, quotas, wrong keys).
#
# BIN holds storage_s3_test and storage_s3_probe. Prints one "ok" or "not ok" line per check and
# exits 0 only if all are ok. KEEP=1 leaves the scratch directory behind.
set -uo pipefail
bin=$(cd "$1" && pwd)
lab=$(cd "$(dirname "$0")/../lab" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/hq-storage.XXXXXX")
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
unset "${!S3_@}" "${!HQ_S3_@}" "${!AWS_@}" # whoever calls may have keys of another store
count=0
failures=0
own_pids=()

cleanup() {
    for pid in "${own_pids[@]}"; do kill "$pid" 2> /dev/null; done
    for server in rgw swift; do "$lab/lab-stop.sh" "$scratch/$server"; done
    [ -n "${KEEP:-}" ] && echo "# kept: $scratch" || rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

report() { # report STATUS NAME [DETAIL]
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failures=$((failures + 1))
        [ -z "${3:-}" ] || sed 's/^/# /' <<< "$3"
    fi
}

# probe ARGUMENT...: against $url with the keys and patience of the environment.
probe() { HQ_TEST_STORE_URL=$url timeout 120 "$bin/storage_s3_probe" "$@" 2>&1; }

expect() { # expect NAME PATTERN PROBE-ARGUMENT...
    local name=$1 pattern=$2 answer status
    shift 2
    answer=$(probe "$@")
    grep -qE -- "$pattern" <<< "$answer"
    status=$?
    # Whatever happens, no message may show a key.
    [ -n "$HQ_S3_SECRET_KEY" ] && grep -qF -- "$HQ_S3_SECRET_KEY" <<< "$answer" && status=1
    report $status "$name" "expected $pattern, got: $answer"
}

with_keys() { # with_keys ACCESS SECRET COMMAND...
    local -x HQ_S3_ACCESS_KEY=$1 HQ_S3_SECRET_KEY=$2
    shift 2
    "$@"
}

elapsed() { # elapsed MAX-SECONDS COMMAND...: also fails if it takes longer
    local max=$1 began=$SECONDS
    shift
    "$@"
    report $((SECONDS - began > max)) "... within $max s" "took $((SECONDS - began)) s"
}

rgw_admin() { radosgw-admin -c "$scratch/rgw/ceph.conf" -n client.rgw "$@" > /dev/null 2>&1; }

# Conformance runs go in parallel; finish_runs reports them.
runs=()
conformance() { # conformance NAME URL [VARIABLE=VALUE...]
    local name=$1 where=$2
    shift 2
    env "$@" HQ_TEST_STORE_URL="$where" timeout 400 "$bin/storage_s3_test" \
        > "$scratch/$name.log" 2>&1 &
    runs+=("$name:$!")
}
finish_runs() {
    for run in "${runs[@]}"; do
        wait "${run#*:}"
        report $? "conformance: ${run%:*}" "$(grep -E '^(ERROR|\[ *(ERROR|FAILED|PASSED))|Sanitizer' \
            "$scratch/${run%:*}.log" | tail -15)"
    done
    runs=()
}

# --- servers ------------------------------------------------------------------------------------

"$lab/rgw-start.sh" "$scratch/rgw" || { report 1 "start the gateway"; exit 1; }
"$lab/swift-start.sh" "$scratch/swift" || { report 1 "start Swift"; exit 1; }
swift_url=$(. "$scratch/swift/env"; echo "s3://$S3_BUCKET/c?endpoint=$S3_ENDPOINT")
swift_keys=$(. "$scratch/swift/env"; echo "$S3_ACCESS_KEY")
. "$scratch/rgw/env"
export HQ_S3_ACCESS_KEY=$S3_ACCESS_KEY HQ_S3_SECRET_KEY=$S3_SECRET_KEY

read -r SLOWDOWN_PORT SWALLOW_PORT CUT_PORT LIE_PORT SKEW_PORT ELSEWHERE_PORT LOST_PORT \
    EARLY_PORT V1_PORT SIX_PORT stall_port stall_once_port nobody_port < <("$lab/free-ports.py" 13)
export SLOWDOWN_PORT SWALLOW_PORT CUT_PORT LIE_PORT SKEW_PORT ELSEWHERE_PORT LOST_PORT EARLY_PORT
export V1_PORT SIX_PORT
BACKEND_PORT=$S3_PORT RATE=20 SLOW_RATE=4 haproxy -db -f "$lab/haproxy-fault.cfg" > "$scratch/haproxy.log" 2>&1 &
own_pids+=($!)
# Enough for the headers of an answer and the beginning of its body.
"$lab/stall_proxy.py" "$stall_port" "$S3_PORT" 20000 > "$scratch/stall.log" 2>&1 &
own_pids+=($!)
"$lab/stall_proxy.py" "$stall_once_port" "$S3_PORT" 20000 1 > "$scratch/stall-once.log" 2>&1 &
own_pids+=($!)
for port in $SLOWDOWN_PORT $stall_port $stall_once_port; do
    for ((i = 0; i < 100; i++)); do
        (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && break
        sleep 0.05
    done
done
# That knock used up the one connection which stalls, so this proxy is replaced by a fresh one.
kill "${own_pids[-1]}"
wait "${own_pids[-1]}" 2> /dev/null
"$lab/stall_proxy.py" "$stall_once_port" "$S3_PORT" 20000 1 > "$scratch/stall-once.log" 2>&1 &
own_pids[-1]=$!

# --- the contract, on every server and through every fault -----------------------------------------

at() { echo "s3://$S3_BUCKET/$1?endpoint=http://127.0.0.1:$2"; }

conformance rgw-http "$(at http "$S3_PORT")"
conformance rgw-https "s3://$S3_BUCKET/https?endpoint=$S3_TLS_ENDPOINT&ca=$S3_CA"
conformance swift "$swift_url" HQ_S3_ACCESS_KEY="$swift_keys"
patience=(HQ_TEST_TIMEOUT_S=1 HQ_TEST_RETRY_S=60 HQ_TEST_SKIP='*_many*')
conformance fault-slowdown "$(at slowdown "$SLOWDOWN_PORT")" "${patience[@]}"
conformance fault-swallow "$(at swallow "$SWALLOW_PORT")" "${patience[@]}"
conformance fault-cut "$(at cut "$CUT_PORT")" "${patience[@]}"
conformance fault-lie "$(at lie "$LIE_PORT")" "${patience[@]}"
conformance listing-v1 "$(at v1 "$V1_PORT")" HQ_TEST_ONLY='*_list_*'
finish_runs

# --- what else the driver promises ----------------------------------------------------------------

export HQ_TEST_TIMEOUT_S=3 HQ_TEST_RETRY_S=20
url=$(at promises "$S3_PORT")
expect "put in parts" '^OK' put big 17000001
expect "read it back" '^OK' check big 17000001
expect "its size" '^OK 17000001$' head big
expect "time is the store's" '^OK [01]$' time
expect "delete" '^OK' delete big
expect "delete again" '^OK' delete big
expect "gone" '^MISSING: .*big' head big
expect "read what is gone" '^MISSING: .*NoSuchKey' get big 0 1
open_uploads() { # open_uploads PREFIX: how many uploads neither completed nor aborted
    curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u "$S3_ACCESS_KEY:$S3_SECRET_KEY" \
        -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$S3_ENDPOINT/$S3_BUCKET?uploads=" |
        grep -o "<Key>$1/" | wc -l
}
report "$(open_uploads promises)" "no upload left open"

url=$(at lost "$LOST_PORT")
elapsed 12 expect "the answer to Complete is lost" '^OK' put big 17000001
expect "... and the object is there" '^OK' check big 17000001
url=$(at early "$EARLY_PORT")
HQ_TEST_RETRY_S=3 expect "Complete fails after its 200" \
    '^TRANSIENT: PUT big.*HTTP 200 InternalError' put big 17000001
# What may be half done must not be aborted.
report $(($(open_uploads early) != 1)) "... and the upload is kept"
expect "... and there is no object" '^MISSING' head big

url="s3://$S3_BUCKET/virtual?endpoint=http://localhost:$S3_PORT&style=virtual"
if getent ahosts "$S3_BUCKET.localhost" > /dev/null; then
    expect "virtual-host style" '^OK' put a 100
    expect "virtual-host style, read" '^OK' check a 100
fi

url="s3://$S3_BUCKET/six?endpoint=http://[::1]:$SIX_PORT"
expect "an IPv6 endpoint" '^OK' put a 100
expect "an IPv6 endpoint, read" '^OK' check a 100

# --- faults of the network -----------------------------------------------------------------------

url=$(at stall "$S3_PORT")
expect "an object to read" '^OK' put a 3000000
url=$(at stall "$stall_once_port")
elapsed 15 expect "a stalled transfer is repeated" '^OK' get a 0 3000000
url=$(at stall "$stall_port")
HQ_TEST_RETRY_S=4 elapsed 25 expect "a transfer that always stalls" '^TRANSIENT: .*tries' \
    get a 0 3000000
url=$(at skew "$SKEW_PORT")
expect "an ETag of other bytes" '^CORRUPT: PUT a: .*MD5' put a 1000
url=$(at x "$nobody_port")
HQ_TEST_RETRY_S=3 elapsed 6 expect "nobody listens" '^TRANSIENT: .*tries' put a 1000
url="s3://$S3_BUCKET/x?endpoint=http://no-such-host.invalid"
HQ_TEST_RETRY_S=1 expect "no such host" '^TRANSIENT: .*\| .*DNS' put a 1000

# --- refusals -------------------------------------------------------------------------------------

url=$(at refused "$S3_PORT")
with_keys "$S3_ACCESS_KEY" wrongsecret000 expect "wrong secret key" \
    '^REFUSED: PUT .*SignatureDoesNotMatch.*\| check' put a 10
with_keys "$S3_ACCESS_KEY" wrongsecret000 expect "wrong secret key, asked by HEAD" \
    '^REFUSED: .*SignatureDoesNotMatch' time
with_keys nosuchkey "$S3_SECRET_KEY" expect "unknown access key" \
    '^REFUSED: .*InvalidAccessKeyId.*\| check' head a
with_keys "" "" expect "no keys" '^CONFIG: .*\| set HQ_S3_ACCESS_KEY' time
url="s3://nosuchbucket/p?endpoint=$S3_ENDPOINT"
for operation in "put a 10" "put a 11000000" "get a 0 1" "head a" "delete a" "list" "time"; do
    # shellcheck disable=SC2086
    expect "missing bucket: $operation" '^REFUSED: .*NoSuchBucket.*\| create' $operation
done
url=$(at x "$ELSEWHERE_PORT")
expect "another region, redirected" '^REGION: .*PermanentRedirect.*\| .*"eu-central-1"' put a 10
expect "another region, asked by HEAD" '^REGION: .*\| .*"eu-central-1"' head a
url="$swift_url&region=eu-west-9"
with_keys "$swift_keys" "$S3_SECRET_KEY" expect "another region, signature refused" \
    '^REGION: .*AuthorizationHeaderMalformed.*\| .*"us-east-1".*"eu-west-9"' put a 10

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
    -keyout "$scratch/other.key" -out "$scratch/other.crt" 2> /dev/null
url="s3://$S3_BUCKET/x?endpoint=$S3_TLS_ENDPOINT&ca=$scratch/other.crt"
expect "a CA that is not the server's" '^REFUSED: .*certificate.*\| .*CA' time
url="s3://$S3_BUCKET/x?endpoint=$S3_TLS_ENDPOINT"
expect "the system's CAs do not know the server" '^REFUSED: .*\| .*ca' time
url="s3://$S3_BUCKET/x?endpoint=${S3_TLS_ENDPOINT/localhost/127.0.0.2}&ca=$S3_CA"
HQ_TEST_RETRY_S=1 expect "a certificate for another host" '^(REFUSED|TRANSIENT): ' time
url="s3://$S3_BUCKET/x?endpoint=$S3_TLS_ENDPOINT&ca=$scratch/none.crt"
expect "no CA file" '^CONFIG: .*none.crt' time
url="s3://$S3_BUCKET/x?endpoint=https://127.0.0.1:$S3_PORT"
HQ_TEST_RETRY_S=1 expect "HTTPS to a plain port" '^TRANSIENT: ' time
faketime=$(ls /usr/lib/*/faketime/libfaketime.so.1 2> /dev/null)
if [ -n "$faketime" ]; then
    url=$(at clock "$S3_PORT")
    answer=$(HQ_TEST_STORE_URL=$url FAKETIME=+2h LD_PRELOAD=$faketime \
        ASAN_OPTIONS=verify_asan_link_order=0 "$bin/storage_s3_probe" put a 10 2>&1)
    grep -q '^REFUSED: .*RequestTimeTooSkewed.*| .*clock' <<< "$answer"
    report $? "a clock two hours ahead" "$answer"
fi

# --- limits of the store ----------------------------------------------------------------------------

url=$(at quota "$S3_PORT")
rgw_admin quota set --quota-scope=user --uid=test --max-size=1024
rgw_admin quota enable --quota-scope=user --uid=test
expect "quota exceeded" '^NO_SPACE: PUT .*QuotaExceeded' put a 100000
expect "quota exceeded, in parts" '^NO_SPACE: PUT .*QuotaExceeded' put b 11000000
rgw_admin quota disable --quota-scope=user --uid=test
expect "quota lifted" '^OK' put a 100000
rgw_admin user suspend --uid=test
expect "user suspended" '^REFUSED: .*UserSuspended' put a 10
rgw_admin user enable --uid=test
expect "user enabled" '^OK' put a 10

# --- a server that stops ------------------------------------------------------------------------------

url=$(at stopped "$S3_PORT")
rgw_pid=$(tail -1 "$scratch/rgw/pids")
kill -STOP "$rgw_pid"
HQ_TEST_TIMEOUT_S=2 HQ_TEST_RETRY_S=4 elapsed 12 expect "a server that stands still" \
    '^TRANSIENT: PUT .*tries' put a 1000
(sleep 3; kill -CONT "$rgw_pid") &
HQ_TEST_TIMEOUT_S=2 HQ_TEST_RETRY_S=30 expect "a server that comes back in time" '^OK' put a 1000
"$lab/rgw-stop.sh" "$scratch/rgw"
HQ_TEST_RETRY_S=3 elapsed 6 expect "a stopped server" '^TRANSIENT: PUT .*tries' put a 1000

echo "1..$count"
[ "$failures" = 0 ]
