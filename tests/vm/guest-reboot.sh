#!/bin/bash
# The same disk, started again: crashes are still epicore's.
. ./guest-lib.sh

check "core_pattern is epicore's" "$(now_pattern)" like "$(now_pattern)" "$OURS"
limit=$(cat /proc/sys/kernel/core_pipe_limit)
check "the kernel waits for the handler" "core_pipe_limit $limit" at_least "$limit" 1
enabled=$(systemctl show -P Result epicore-enable.service)
check "epicore-enable.service did its work" "$enabled, $(systemctl is-active epicore-enable.service || true)" \
    unit_is epicore-enable.service active
within 30 unit_is epicored.service active || true
check "epicored runs" "$(systemctl is-active epicored.service || true)" unit_is epicored.service active
check "the census has its timer" "$(systemctl is-active epicore-census.timer || true)" \
    unit_is epicore-census.timer active
kept=$(count --unit crasher.service)
check "the records of the boot before are there" "$kept of the unit crasher.service" at_least "$kept" 1
record=$(crash)
check "a crash leaves a record of this boot" "$(jq -r .kind <<< "$record")" \
    is "$(jq -r .host.boot <<< "$record")" "$(tr -d - < /proc/sys/kernel/random/boot_id)"
status=0
epicore doctor > doctor.log 2>&1 || status=$?
check "the doctor finds nothing that costs records" "exit $status: $(tail -n 1 doctor.log)" is "$status" 0
check "what the kernel was told before epicore is still saved" "$(tail -n 1 /var/lib/epicore/previous)" \
    grep -qxF "core_pattern=$BEFORE" /var/lib/epicore/previous
check "no unit has failed" "$(failed_units)" is "$(failed_units)" ""
