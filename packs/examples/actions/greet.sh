#!/bin/sh
# greet.sh NAME TIMES SHOUT
set -eu

greeting="Hello, $1!"
if [ "${3:-0}" = 1 ]; then
    greeting=$(printf '%s' "$greeting" | tr '[:lower:]' '[:upper:]')
fi

count=0
while [ "$count" -lt "${2:-1}" ]; do
    printf '%s\n' "$greeting"
    count=$((count + 1))
done
