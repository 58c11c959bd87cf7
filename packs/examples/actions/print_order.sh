#!/bin/sh
# print_order.sh ORDER
set -eu

printf 'order %s is late\n' "$1"
