#!/bin/sh
# compare.sh [OPTION]...: hq-backup, pgBackRest, restic and borg side by side on one cluster: full, next and unchanged
# backups, restore, delta restore, to a directory and to a Ceph RADOS Gateway. Tables in Markdown on
# standard output. `compare.sh --quick` tries everything in two minutes; `--help` tells the rest.
exec /usr/bin/python3 "$(dirname "$0")/compare" "$@"
