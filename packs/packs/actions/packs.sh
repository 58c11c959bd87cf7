#!/bin/sh
# All actions of this pack: what is no --name=value says which.
#
# The program is the one that runs this script, and the data folder is the one that this script was
# unpacked to, so that it works wherever either is.
set -eu

verb='' packs='' repo_url='' branch='' register='' python='' pack=''
for argument in "$@"; do
    value=${argument#*=}
    case "$argument" in
    --packs=*) packs=$value ;;
    --pack=*) pack=$value ;;
    --repo_url=*) repo_url=$value ;;
    --branch=*) branch=$value ;;
    --register=*) register=$value ;;
    --python=*) python=$value ;;
    --*) ;;
    *) verb=$argument ;;
    esac
done

data=${HEARKEN_DATA:-$(cd "$(dirname "$0")/../../../.." && pwd)}
hearken=${HEARKEN_EXE:-/proc/$PPID/exe}
[ -x "$hearken" ] || hearken=hearken
run() { "$hearken" --data "$data" -o json pack "$@"; }

# A list arrives as Python writes it, ['a', 'b'], or with commas.
names=$(printf '%s' "$packs" | tr -d "[]'\" " | tr ',' '\n')

# The words of $names become arguments; no pack and no version has a blank or a wildcard.
set -f
case "$verb" in
install | download)
    set --
    [ "$verb" = download ] || [ -z "$register" ] || set -- "$@" "--register=$register"
    [ "$verb" = download ] || [ -z "$python" ] || set -- "$@" "--python=$python"
    if [ -n "$repo_url" ]; then
        # The first generation: packs of a repository of many.
        [ "$names" = '*' ] || for name in $names; do set -- "$@" "--pack=$name"; done
        run "$verb" "$@" -- "$repo_url${branch:+=$branch}"
    else
        run "$verb" "$@" -- $names
    fi
    ;;
load)
    run load "--register=${register:-actions}" -- $names
    ;;
unload | remove)
    run "$verb" -- $names
    ;;
setup)
    set --
    [ -z "$python" ] || set -- "--python=$python"
    run setup "$@" -- $names
    ;;
get)
    run get "$pack"
    ;;
list)
    run list
    ;;
*)
    echo "unknown verb: $verb" >&2
    exit 2
    ;;
esac
