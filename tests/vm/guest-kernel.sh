#!/bin/bash
# What this kernel tells a handler and what not, by its own word: a record does
# with what there is, and the doctor names what is missing.
. ./guest-lib.sh

# Distributors port back: a version does not say it. So a handler that only
# writes down its arguments.
printf '#!/bin/sh\necho "$@" > /run/told\n' > /usr/local/bin/told
chmod 755 /usr/local/bin/told
ours=$(now_pattern)
echo '|/usr/local/bin/told C%C F%F' > /proc/sys/kernel/core_pattern
crasher 0 /dev/null 1 2> /dev/null || true
within 30 test -s /run/told || true
echo "$ours" > /proc/sys/kernel/core_pattern
read -r cpu pidfd < /run/told
check "the kernel tells a handler what its pattern asks for" "%C: ${cpu#C} %F: ${pidfd#F}" \
    like "$cpu $pidfd" 'C* F*'

record=$(crash)
identity=$(jq -r .cap.ident <<< "$record")
expected=$([[ -n ${pidfd#F} ]] && echo pidfd || echo starttime)
check "identity is held by the pidfd where the kernel gives one" "$identity" is "$identity" "$expected"
truth() { [[ -n $1 ]] && echo there || echo missing; }
knows=$(jq -r 'if .crash | has("cpu") then "there" else "missing" end' <<< "$record")
check "the record knows the CPU of the crash where the kernel tells it" "crash.cpu is $knows" \
    is "$knows" "$(truth "${cpu#C}")"

# An older kernel expands a specifier that it does not know to nothing.
echo "${ours/-F%F/-F}" > /proc/sys/kernel/core_pattern
record=$(crash)
echo "$ours" > /proc/sys/kernel/core_pattern
identity=$(jq -r '.cap.ident + ", " + .kind' <<< "$record")
check "without %F a crash leaves its record all the same" "$identity" is "$identity" "starttime, full"

# It believes the newest record.
crash > /dev/null
doctor=$({ epicore doctor --json || true; } | jq -r 'select(.check == "kernel") | .what')
names() { grep -q "no $1" <<< "$doctor" && echo missing || echo there; }
check "the doctor says of %C what is so" "doctor: $(names %C), kernel: $(truth "${cpu#C}")" \
    is "$(names %C)" "$(truth "${cpu#C}")"
check "the doctor says of %F what is so" "doctor: $(names %F), kernel: $(truth "${pidfd#F}")" \
    is "$(names %F)" "$(truth "${pidfd#F}")"
