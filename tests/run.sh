#!/bin/sh
# Every test: `sh tests/run.sh`. Installs what they need, builds with gcc and clang and the
# sanitizers, runs them all, ends with 'N passed, N failed'. Some 30 minutes on two cores.
#
#     sh tests/run.sh [STEP...]     only these, one after the other: see the list at the end
#
# Environment: HQ_FUZZ_SECONDS (per target, default 6), HQ_LOGS (directory for outputs).
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
logs=${HQ_LOGS:-$(mktemp -d /tmp/hq-tests.XXXXXX)}
mkdir -p "$logs"
passed=0
failed=0
failures=
export LC_ALL=C.UTF-8
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

record() { # record STATUS NAME [LOG]
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        echo "ok      $2"
    else
        failed=$((failed + 1))
        failures="$failures
  $2"
        echo "NOT OK  $2"
        [ -z "${3:-}" ] || tail -n 40 "$3"
    fi
}

# one NAME COMMAND...: a test that passes or fails as a whole
one() {
    name=$1; shift
    "$@" >"$logs/$name.log" 2>&1 </dev/null
    record $? "$name" "$logs/$name.log"
}

# many NAME COMMAND...: a script that prints a line 'ok - what' or 'not ok - what' for each test.
# Ending without a single one, or with a status other than 0, is a failure of its own.
many() {
    name=$1; shift
    "$@" >"$logs/$name.log" 2>&1 </dev/null
    status=$?
    good=$(grep -c '^ok' "$logs/$name.log")
    bad=$(grep -c '^not ok' "$logs/$name.log")
    passed=$((passed + good))
    failed=$((failed + bad))
    echo "$name: $good ok, $bad not ok"
    if [ "$bad" -gt 0 ]; then
        failures="$failures
$(grep '^not ok' "$logs/$name.log" | sed "s/^not ok/  $name:/")"
    fi
    if [ "$bad" -gt 0 ] || [ "$status" != 0 ]; then
        tail -n 40 "$logs/$name.log"
    fi
    if [ "$good" = 0 ] || { [ "$status" != 0 ] && [ "$bad" = 0 ]; }; then
        record 1 "$name (status $status)"
    fi
}

build() { # build PRESET
    cmake --preset "$1" && cmake --build --preset "$1"
}

step_format() {
    one format sh -c 'git ls-files "*.c" "*.h" | xargs clang-format --dry-run -Werror'
    one shell-syntax sh -c 'for f in $(git ls-files "*.sh" .ci/run); do case $(head -n 1 "$f") in *bash*) bash -n "$f" ;; *) sh -n "$f" ;; esac || exit 1; done'
    one python-syntax sh -c 'for f in $(git ls-files "*.py"); do python3 -c "import ast,sys; ast.parse(open(sys.argv[1]).read())" "$f" || exit 1; done'
}
step_build() {
    one build-gcc-sanitizers build dev
    one build-clang build clang
    one build-release build release
}
step_unit() {
    ctest --preset dev -j 2 >"$logs/unit.log" 2>&1
    grep -E '^ *[0-9]+/[0-9]+ Test' "$logs/unit.log" >"$logs/unit.list"
    while read -r line; do
        case $line in *Passed*) echo "ok - $line" ;; *) echo "not ok - $line" ;; esac
    done <"$logs/unit.list" >"$logs/unit.tap"
    grep -q 'not ok' "$logs/unit.tap" && cat "$logs/unit.log"
    many unit cat "$logs/unit.tap"
}
step_push() { many push bash tests/integration/push.sh; }
step_docs() { many docs sh tests/integration/docs.sh; }
step_storage() { many storage bash tests/integration/storage.sh build/dev/tests; }
step_main() {
    one quickstart env HQ_BUILD="$top/build/dev/bin" sh docs/quickstart.sh
    for script in tests/integration/main_*.sh; do
        many "$(basename "$script" .sh)" bash "$script"
    done
}
step_store_away() { many store_away bash tests/integration/store_away.sh; }
step_continuity() { many continuity bash tests/integration/continuity.sh; }
step_failover() {
    for part in hosts member lineage newer; do
        many "failover-$part" env HQ_FAILOVER_PART="$part" bash tests/integration/failover.sh
    done
    many pg_upgrade bash tests/integration/pg_upgrade.sh
}
step_governor() {
    many governor bash tests/integration/governor.sh
    many governor_alone bash tests/integration/governor_alone.sh
}
step_recovery() {
    many recovery bash tests/integration/recovery.sh
    many in_place bash tests/integration/in_place.sh
}
step_files() {
    for version in 15 17; do
        many "files-$version" bash tests/integration/files.sh "$version"
    done
    many incremental bash tests/integration/incremental.sh 7 4
    many incremental_history bash tests/integration/incremental_history.sh
    many server_summary bash tests/integration/server_summary.sh
    many summary-incremental env HQ_SUMMARY=1 HQ_PG_BIN="$(sh tests/lab/postgres.sh 17)" bash tests/integration/incremental.sh 13 4
    many files-incremental env HQ_FILES=1 bash tests/integration/incremental.sh 11 8
}
step_versions() {
    many versions bash tests/integration/versions.sh
    many slots bash tests/integration/slots.sh
    many wrong_server bash tests/integration/wrong_server.sh
}
step_summary() {
    many summary bash tests/integration/walsummary.sh
    many changes bash tests/integration/changes.sh
}
step_crash() { many crash bash tests/crash/run.sh; }
step_torture() { many torture bash tests/torture/run.sh; }
step_interop() { many interop bash tests/interop/run.sh; }
step_fuzz() {
    one build-fuzz build fuzz
    for target in build/fuzz/tests/*_fuzz; do
        name=$(basename "$target" _fuzz)
        one "fuzz-$name" sh tests/fuzz/run.sh "$target" "tests/fuzz/corpus/$name" "${HQ_FUZZ_SECONDS:-6}"
    done
}

started=$(date +%s)
run_steps() {
    for step; do
        echo "---- $step ($(($(date +%s) - started)) s)"
        "step_$step"
    done
}

# Most of them wait most of the time, for servers and for clocks: two run at once.
lane() { # lane NUMBER STEP...
    number=$1; shift
    HQ_LANE=$number HQ_LOGS=$logs sh tests/run.sh "$@" 2>&1 | tee "$logs/lane-$number.out" | sed -u "s/^/$number| /"
}
count_lane() {
    out=$logs/lane-$1.out
    totals=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$out")
    [ -n "$totals" ] || { record 1 "lane $1 ended before its end" "$out"; return; }
    passed=$((passed + ${totals% *}))
    failed=$((failed + ${totals#* }))
    names=$(sed -n '/^Failed:/,/^[0-9]* passed/{/^  /p}' "$out")
    [ -z "$names" ] || failures="$failures
$names"
}

[ -n "${HQ_LANE:-}" ] || sh docs/packages.sh test || exit 1
if [ $# -gt 0 ]; then
    run_steps "$@"
else
    run_steps format build
    lane 1 unit storage push store_away files continuity governor crash &
    lane 2 docs main versions failover recovery summary torture interop fuzz &
    wait
    count_lane 1
    count_lane 2
fi
echo "---- done in $(($(date +%s) - started)) s; outputs are in $logs"
[ "$failed" = 0 ] || echo "Failed:$failures"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
