#!/bin/sh
# Prints a new UUID; --uuid_type= says of which kind.
set -eu

case "${1:---uuid_type=uuid4}" in
--uuid_type=uuid4)
    if [ -r /proc/sys/kernel/random/uuid ]; then
        cat /proc/sys/kernel/random/uuid
    else
        uuidgen
    fi
    ;;
--uuid_type=uuid1)
    if ! command -v uuidgen >/dev/null; then
        echo "uuid1 needs the program uuidgen (package uuid-runtime)" >&2
        exit 1
    fi
    uuidgen --time
    ;;
*)
    echo "unknown argument: $1" >&2
    exit 2
    ;;
esac
