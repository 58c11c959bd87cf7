#!/bin/sh
# All actions of this pack: what is no --name=value says which.
#
# The program is the one that runs this script, and the data folder is the one that this script was
# unpacked to, so that it works wherever either is.
set -eu

verb='' packs='' repo_url='' branch='' register='' python='' pack='' force='' alone=''
for argument in "$@"; do
    value=${argument#*=}
    case "$argument" in
    --packs=*) packs=$value ;;
    --pack=*) pack=$value ;;
    --repo_url=*) repo_url=$value ;;
    --branch=*) branch=$value ;;
    --register=*) register=$value ;;
    --python=*) python=$value ;;
    --force) force=$argument ;;
    --skip_dependencies) alone=--skip-dependencies ;;
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

# Names of all installed packs, where none are given.
all() { ls "$data/packs" 2>/dev/null || true; }

# The words of $names become arguments; no pack and no version has a blank or a wildcard.
set -f
case "$verb" in
install | download)
    set --
    [ "$verb" = download ] || [ -z "$register" ] || set -- "$@" "--register=$register"
    [ "$verb" = download ] || [ -z "$python" ] || set -- "$@" "--python=$python"
    [ "$verb" = download ] || [ -z "$alone" ] || set -- "$@" "$alone"
    [ -z "$force" ] || set -- "$@" "$force"
    if [ -n "$repo_url" ]; then
        # The first generation: packs of a repository of many.
        [ "$names" = '*' ] || for name in $names; do set -- "$@" "--pack=$name"; done
        run "$verb" "$@" -- "$repo_url${branch:+=$branch}"
    elif [ -n "$names" ]; then
        run "$verb" "$@" -- $names
    else
        echo "nothing to $verb: give packs, or repo_url for all packs of a repository" >&2
        exit 2
    fi
    ;;
load)
    [ -n "$names" ] || names=$(all)
    if [ -n "$names" ]; then
        run load "--register=${register:-actions}" -- $names
    else
        echo '[]'
    fi
    ;;
unload | remove)
    run "$verb" -- $names
    ;;
setup)
    set --
    [ -n "$names" ] || names=$(all)
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
