#!/bin/sh
# service.sh ACT SERVICE, by whatever the host manages its services with.
set -eu

if [ -z "${1:-}" ] || [ -z "${2:-}" ]; then
    echo "usage: service.sh ACT SERVICE" >&2
    exit 2
fi
case "$1$2" in
-* | */*)
    echo "neither an action nor a service is called so: $1 $2" >&2
    exit 2
    ;;
esac

if [ -d /run/systemd/system ]; then
    exec systemctl "$1" -- "$2"
elif [ -x "/etc/init.d/$2" ]; then
    exec "/etc/init.d/$2" "$1"
elif command -v rc-service >/dev/null; then
    exec rc-service "$2" "$1"
fi
echo "Unknown service" >&2
exit 2
