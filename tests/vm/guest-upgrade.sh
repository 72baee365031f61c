#!/bin/bash
# A newer package comes while programs crash: the kernel is never told of a
# handler that is not there, and no crash is lost.
. ./guest-lib.sh

saved=$(cat /var/lib/epicore/previous)
# What the throttle let go, as the handlers count it.
suppressed() { /usr/lib/epicore/epicore-handler --census --print | grep -o '[0-9]* suppressed' | grep -o '[0-9]*'; }
before=$(suppressed)
# Before dpkg and the crashes, when it wants to look.
chrt -f 50 ./watch /usr/lib/epicore epicore-handler > watch.log &
watch=$!
crashloop > loop.log 2>&1 &
loop=$!
sleep 3
status=0
dpkg -i new.deb > upgrade.log 2>&1 || status=$?
sleep 3
kill "$loop" "$watch"
wait "$loop" "$watch"
read -r crashes dumped < loop.log
read -r looks dangling none longest gone < watch.log

check "dpkg upgrades while programs crash" "exit $status: $(tail -n 1 upgrade.log)" is "$status" 0
is_newer() { [[ $(dpkg-query -f '${Version}' -W epicore) == "$(dpkg-deb -f new.deb Version)" ]]; }
check "the newer version is installed" "$(dpkg-query -f '${Version}' -W epicore)" is_newer
check "the pattern never named a handler that was not there" \
    "$dangling of $looks looks, at most $longest µs apart" is "$dangling" 0
check "the handler's file was never gone" "removed or renamed away $gone times" is "$gone" 0
check "the pattern was epicore's all the time" "$none of $looks looks found none" is "$none" 0
check "the looks were many" "$looks" at_least "$looks" 10000

within 60 no_handler_runs || true
recorded=$(count --exe crashloop)
dropped=$(journalctl -k -o cat | grep -cE 'over core_pipe_limit|pipe failed' || true)
check "crashes went on meanwhile" "$crashes crashes, $dumped dumped by the kernel's word" at_least "$crashes" 20
suppressed=$(($(suppressed) - before))
check "every crash has a record, or is counted as suppressed, or has the kernel's word that it was dropped" \
    "$crashes crashes, $recorded records, $suppressed suppressed, $dropped dropped" \
    is "$crashes" $((recorded + suppressed + dropped))
full=$(records --exe crashloop | jq -s 'map(select(.kind == "full")) | length')
check "the records are complete" "$full of $recorded" is "$full" "$recorded"

check "core_pattern is epicore's" "$(now_pattern)" like "$(now_pattern)" "$OURS"
check "what the kernel was told before epicore is still saved" "$(tail -n 1 /var/lib/epicore/previous)" \
    is "$(cat /var/lib/epicore/previous)" "$saved"
within 30 unit_is epicored.service active || true
check "epicored runs" "$(systemctl is-active epicored.service || true)" unit_is epicored.service active
program=$(readlink "/proc/$(systemctl show -P MainPID epicored.service)/exe")
check "epicored is the newer one" "$program" is "$program" /usr/bin/epicored
check "no unit has failed" "$(failed_units)" is "$(failed_units)" ""
