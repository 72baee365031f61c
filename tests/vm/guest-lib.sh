# Sourced by every scenario in the guest: what they say, and how they look.
# Each check goes to the host at once (vm-say), so that none is lost with a
# machine that hangs or loses its power.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
shopt -s inherit_errexit

scenario=$(basename "$0" .sh)
scenario=${scenario#guest-}
# shellcheck disable=SC2317 # the trap calls it
ended() {
    local status=$?
    result "$([[ $status -eq 0 ]] && echo ok || echo FAIL)" "it ran to its end" "exit $status"
}
trap ended EXIT
trap 'echo "$0, line $LINENO: $BASH_COMMAND" >&2' ERR

# result ok|FAIL SENTENCE SAW
result() {
    local saw=${3//[$'\n\t\r']/ }
    vm-say "check"$'\t'"$scenario"$'\t'"$1"$'\t'"$2"$'\t'"${saw:0:200}"
}

# check SENTENCE SAW COMMAND…: the command's status decides; SAW stands beside it.
check() {
    local sentence=$1 saw=$2 verdict=FAIL
    shift 2
    "$@" > /dev/null 2>&1 && verdict=ok
    result "$verdict" "$sentence" "$saw"
}

is() { [[ $1 == "$2" ]]; }
# like TEXT PATTERN: a shell pattern.
# shellcheck disable=SC2053
like() { [[ $1 == $2 ]]; }
at_least() { (($1 >= $2)); }
at_most() { (($1 <= $2)); }
absent() { [[ ! -e $1 && ! -L $1 ]]; }

# within SECONDS COMMAND…: until it succeeds. Emulation is slow.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

now_pattern() { cat /proc/sys/kernel/core_pattern; }
OURS='|/usr/lib/epicore/epicore-handler *'
# What the kernel was told before epicore; not its default, so that it can be
# told from one that nobody put back.
BEFORE='/var/tmp/core.%e.%p'

unit_is() { [[ $(systemctl is-active "$1" || true) == "$2" ]]; }
failed_units() { systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1 | xargs; }

# Records as JSON lines; further words are filters of `epicore list`.
records() { epicore list --json "$@"; }
count() { records "$@" | wc -l; }
has() { (($(count "${@:2}") >= $1)); }
no_handler_runs() { ! pgrep -x epicore-handler; }

# One crash of a small program; its record's JSON, once it is full.
crash() {
    local before
    before=$(count --exe crasher)
    crasher 0 /dev/null 1 2> /dev/null || true
    within 60 has $((before + 1)) --exe crasher
    within 60 no_handler_runs
    records --exe crasher -n 1
}

# median NUMBER…, and the least and greatest: "12 (9-30)".
spread() {
    printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] " (" v[1] "-" v[NR] ")" }'
}
