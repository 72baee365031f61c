# shellcheck shell=bash
# promise.sh: to be sourced. A line for each promise; what was said stands below
# one that does not hold, and `broken` is 1 then.

broken=0

holds() { # WORDS COMMAND...
    local words=$1 said
    shift
    if said=$("$@" 2>&1); then
        printf 'ok       %s\n' "$words"
    else
        printf 'BROKEN   %s\n' "$words"
        [[ -z $said ]] || sed 's/^/         /' <<<"$said"
        # shellcheck disable=SC2034
        broken=1
    fi
}
