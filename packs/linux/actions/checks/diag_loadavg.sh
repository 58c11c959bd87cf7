#!/bin/sh
# diag_loadavg.sh tells the load, the processes that run or wait for a disk, and what these are
# connected to and have open, as far as the host has the programs for it.
set -eu

echo "== load"
cat /proc/loadavg

pids=''
for state in D R; do
    echo "== processes in state $state"
    found=$(ps -eo state=,pid=,args= | awk -v state="$state" '$1 == state')
    printf '%s\n' "$found"
    pids="$pids $(printf '%s\n' "$found" | awk '{print $2}' | tr '\n' ' ')"
done

for pid in $pids; do
    # Many have ended by now, ps itself among them.
    [ -d "/proc/$pid" ] || continue
    echo "== process $pid"
    if command -v netstat >/dev/null; then
        netstat -pant 2>/dev/null | grep " $pid/" || :
    fi
    if command -v lsof >/dev/null; then
        lsof -p "$pid" 2>/dev/null || :
    fi
done
