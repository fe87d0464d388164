#!/bin/sh
# Manual pages, help and documents against the programs themselves.
set -u
cd "$(dirname "$0")/../.." || exit 1
bin=${HQ_BUILD:-build/dev/bin}
scratch=$(mktemp -d /tmp/hq-docs.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
ok() { if [ "$1" = 0 ]; then echo "ok - $2"; else echo "not ok - $2"; [ -z "${3:-}" ] || sed 's/^/    /' "$3"; fi; }

for page in docs/man/*.[0-9]; do
    mandoc -T lint -W warning "$page" >"$scratch/lint" 2>&1
    ok $? "$page is sound" "$scratch/lint"
done
for pair in hq-backup:1 hq-backupd:8 hq-restore:1; do
    program=${pair%:*}
    page=docs/man/$program.${pair#*:}
    "$bin/$program" --dump-options >"$scratch/dump"
    # Every option of the program is on the page, and every one on the page is the program's.
    awk -F'\t' '$1 == "option" {print $3}' "$scratch/dump" | sort -u >"$scratch/options"
    mandoc -T utf8 "$page" | col -b | grep -oE -- '--[a-z][a-z-]+' | sort -u >"$scratch/page"
    [ "$program" != hq-backup ] || printf -- '--config\n--json\n' >>"$scratch/options"
    sort -u -o "$scratch/options" "$scratch/options"
    diff "$scratch/options" "$scratch/page" >"$scratch/diff"
    ok $? "$page has the options of $program" "$scratch/diff"
    awk -F'\t' '$1 == "command" && $2 != "-" {print $2}' "$scratch/dump" | while read -r command; do
        mandoc -T utf8 "$page" | col -b | grep -qE "^ +$command( |$)" || { echo "$command" >>"$scratch/lost"; }
    done
    ok "$([ -s "$scratch/lost" ] && echo 1 || echo 0)" "$page has the commands of $program" "$scratch/lost"
    rm -f "$scratch/lost"
    "$bin/$program" --help >"$scratch/help" 2>&1 && [ "$(wc -l <"$scratch/help")" -ge 8 ] &&
        [ "$(awk '{ if (length($0) > n) n = length($0) } END { print n }' "$scratch/help")" -le 90 ]
    ok $? "$program --help fits and exists" "$scratch/help"
    "$bin/$program" --version | grep -qE '[0-9]+\.[0-9]+\.[0-9]+'
    ok $? "$program --version"
done
# Links between documents lead somewhere.
for document in README.md docs/*.md; do
    grep -oE '\]\([^)#]+' "$document" | sed 's/^](//' | grep -v '^http' | while read -r link; do
        [ -e "$(dirname "$document")/$link" ] || echo "$link"
    done >"$scratch/dead"
    [ ! -s "$scratch/dead" ]
    ok $? "$document links to what exists" "$scratch/dead"
done
# Commands that the README and the operations manual show exist.
grep -hoE '(hq-backup|hq-restore) [a-z][a-z-]*( (rebuild|sidecar|accept|list|ack))?' README.md docs/operations.md docs/man/*.[0-9] |
    sort -u >"$scratch/used"
while read -r program command; do
    "$bin/$program" --dump-options | awk -F'\t' '$1 == "command" {print $2}' | grep -qxF -- "$command" ||
        "$bin/$program" --dump-options | awk -F'\t' '$1 == "command" {print $2}' | grep -qxF -- "${command% *}" ||
        echo "$program $command"
done <"$scratch/used" | grep -vE 'hq-backup (needs|does|is|backs|protects)' >"$scratch/unknown"
[ ! -s "$scratch/unknown" ]
ok $? "commands in the documents exist" "$scratch/unknown"
DESTDIR=$scratch/install cmake --install "${HQ_RELEASE:-build/release}" >"$scratch/out" 2>&1 &&
    [ -x "$(find "$scratch/install" -name hq-restore -path '*bin*')" ] && [ -n "$(find "$scratch/install" -name hq-backupd.8)" ] &&
    unit=$(find "$scratch/install" -name hq-backupd.service) &&
    [ -x "$scratch/install$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")" ]
ok $? "install puts programs, pages and the unit in place" "$scratch/out"
bash -n docs/completion/hq-backup.bash
ok $? "completion is valid bash"
