#!/bin/sh
# check_loadavg.sh PERIOD prints the load per processor: a number, or all three as JSON.
set -eu

processors=$(grep -c '^processor' /proc/cpuinfo) || processors=1
read -r one five fifteen rest </proc/loadavg

awk -v period="${1:-all}" -v processors="$processors" \
    -v one="$one" -v five="$five" -v fifteen="$fifteen" 'BEGIN {
    if (period == "1") printf "%.6g\n", one / processors
    else if (period == "5") printf "%.6g\n", five / processors
    else if (period == "15") printf "%.6g\n", fifteen / processors
    else printf "{\"1\": \"%.6g\", \"5\": \"%.6g\", \"15\": \"%.6g\"}\n",
        one / processors, five / processors, fifteen / processors
}'
