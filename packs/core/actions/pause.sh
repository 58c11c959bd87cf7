#!/bin/sh
# Waits for $1 seconds, or for a random time up to that when $2 is 1.
set -eu

seconds=${1:-0}
[ -n "$seconds" ] || seconds=0

if [ "${2:-0}" = 1 ] && [ "$seconds" -gt 0 ]; then
    number=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    seconds=$((number % (seconds + 1)))
fi

sleep "$seconds"
echo "waited for $seconds seconds"
