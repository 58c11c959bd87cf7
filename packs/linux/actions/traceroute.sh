#!/bin/sh
# traceroute.sh HOST HOPS QUERIES
set -eu

case "$1" in
-*)
    echo "no host is called so: $1" >&2
    exit 2
    ;;
esac
if ! command -v traceroute >/dev/null; then
    echo "Unable to find traceroute binary in PATH" >&2
    exit 2
fi

exec traceroute -q "${3:-3}" -m "${2:-30}" "$1"
