#!/bin/bash
# pg_upgrade from 14 to 15: another system under the same name, whose files are the old ones' copies.
# It is accepted by a person, nothing of it is taken for the last backup's, and both are recoverable.
. "$(dirname "$0")/lib.sh"
to_bin=$pg_bin
if ! from_bin=$(sh "$top/tests/lab/postgres.sh" 14); then
    not_ok "PostgreSQL 14 can't be installed"
    exit 1
fi
# The programs that pg_upgrade wants of the old version. Those of 15 read 14's pg_control, which is
# the same, but pg_resetwal, which only prints here, insists on the number in PG_VERSION.
mkdir "$scratch/from"
for program in "$from_bin"/* "$to_bin"/pg_controldata; do
    ln -s "$program" "$scratch/from/"
done
cat >"$scratch/from/pg_resetwal" <<SH
#!/bin/sh
[ "\$1" = -V ] || [ "\$1" = --version ] && exec "$to_bin/pg_resetwal" "\$1"
for data; do :; done
mkdir -p -m 700 "$scratch/printed" "$scratch/printed/global"
cp "\$data/global/pg_control" "$scratch/printed/global/"
ln -sfn "\$(cd "\$data" && pwd)/pg_wal" "$scratch/printed/pg_wal"
echo 15 >"$scratch/printed/PG_VERSION"
exec "$to_bin/pg_resetwal" -n "$scratch/printed"
SH
chmod 755 "$scratch/from/pg_resetwal"
rows() { sql "$1" -c "SELECT count(*), sum(n) FROM seen"; }
said() { grep -qE -- "$1" "$scratch/log"; }
take() { backup backup --json >"$scratch/backup.json" 2>"$scratch/log"; }

pg_bin=$scratch/from
pg_init old
sql old -c "CREATE TABLE seen AS SELECT g AS n FROM generate_series(1, 100000) g" -c CHECKPOINT
hq_init
hq_config old </dev/null
check "a backup of 14" take
check "a second one takes pages from it" take
check "... says so" grep -qE '"inherited_pages": *[1-9]' "$scratch/backup.json"
sql old -c "INSERT INTO seen VALUES (1000000)"
old_rows=$(rows old)
sleep 0.1
time_of_old=$(sql old -c "SELECT clock_timestamp()")
sql old -c "INSERT INTO seen VALUES (3000000)"
daemon_start
catch_up old
daemon_stop
pg_stop old fast

pg_bin=$to_bin
pg_init new
pg_stop new fast
check "pg_upgrade" as sh -c "cd '$scratch' && '$to_bin/pg_upgrade' -b '$scratch/from' -B '$to_bin' -d old -D new -U postgres --socketdir '$scratch'"
pg_start new
sed -i "s/port=${port_of[old]}/port=${port_of[new]}/" "$config"
refuse "the upgraded cluster is not taken for the old one" 7 'is system [0-9]+, the server is [0-9]+' backup backup
if grep -q 'lineage accept' "$scratch/out"; then ok "... with advice"; else not_ok "... with advice" "$scratch/out"; fi
check "it is accepted" backup lineage accept --reason 'pg_upgrade to 15'
check "a backup of 15" take
check "... says why no page is the last backup's" said 'there is no backup of this system yet'
check "... and takes none" grep -qE '"inherited_pages": *0' "$scratch/backup.json"
sql new -c "INSERT INTO seen VALUES (2000000)"
daemon_start
catch_up new
daemon_stop
check "restored to the upgraded cluster" restore pg --cluster main --latest --to "$scratch/r"
start_restored r && same "... its rows" "$(rows new)" "$(rows r)"
drop_restored r
check "restored to before the upgrade" restore pg --cluster main --target-time "$time_of_old" --to "$scratch/r"
pg_bin=$scratch/from
start_restored r && same "... its rows" "$old_rows" "$(rows r)"
drop_restored r
pg_bin=$to_bin
check "the repository verifies" backup verify --key "$scratch/restore.key"
