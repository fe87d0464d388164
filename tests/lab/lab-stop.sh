#!/bin/bash
# lab-stop.sh DIR: end the processes whose numbers are in DIR/pids, if they are still those.
# memstore has nothing to save, so what does not end within 5 s is killed.
dir=$(cd "$1" 2> /dev/null && pwd) || exit 0
[ -f "$dir/pids" ] || exit 0

# A number may have been given to somebody else: only a process that names DIR is ours.
ours() { { tr '\0' ' ' < "/proc/$1/cmdline"; } 2> /dev/null | grep -qF -- "$dir/"; }

pids=$(tac "$dir/pids")
for pid in $pids; do ours "$pid" && kill -TERM "$pid"; done
for ((i = 0; i < 50; i++)); do
    alive=
    for pid in $pids; do ours "$pid" && alive=1; done
    [ -n "$alive" ] || break
    sleep 0.1
done
for pid in $pids; do ours "$pid" && kill -KILL "$pid"; done
rm -f "$dir/pids"
