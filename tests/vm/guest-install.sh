#!/bin/bash
# The package on a host that has never seen epicore: afterwards crashes are its.
. ./guest-lib.sh

echo "$BEFORE" > /proc/sys/kernel/core_pattern
echo 3 > /proc/sys/kernel/core_pipe_limit
install -m 0755 crasher crashloop /usr/local/bin/

status=0
dpkg -i old.deb > install.log 2>&1 || status=$?
check "dpkg installs the package" "exit $status: $(tail -n 1 install.log)" is "$status" 0
check "core_pattern is epicore's" "$(now_pattern)" like "$(now_pattern)" "$OURS"
limit=$(cat /proc/sys/kernel/core_pipe_limit)
check "the kernel waits for the handler" "core_pipe_limit $limit" at_least "$limit" 1
check "what the kernel was told before is saved" "$(tail -n 1 /var/lib/epicore/previous)" \
    grep -qxF "core_pattern=$BEFORE" /var/lib/epicore/previous
within 30 unit_is epicored.service active || true
check "epicored runs" "$(systemctl show -P SubState epicored.service)" unit_is epicored.service active
warned=$(journalctl -u epicored.service -p warning -o cat -q)
check "epicored has nothing to warn of" "${warned:-nothing}" is "$warned" ""
asked=$(setpriv --reuid nobody --regid nogroup --groups epicore epicore status 2>&1 | head -n 1 || true)
check "whoever is in the group epicore may ask it" "$asked" like "$asked" 'epicored *'
asked=$(setpriv --reuid nobody --regid nogroup --clear-groups epicore status 2>&1 | head -n 1 || true)
check "others may not" "$asked" like "$asked" 'epicore: *'
check "the census has its timer" "$(systemctl show -P SubState epicore-census.timer)" \
    unit_is epicore-census.timer active
for unit in epicored.service epicore-enable.service epicore-census.timer; do
    check "$unit comes again at boot" "$(systemctl is-enabled "$unit" || true)" \
        is "$(systemctl is-enabled "$unit" || true)" enabled
done
owner=$(stat -c '%U:%G %a' /var/spool/epicore)
check "the spool belongs to epicore and to nobody else" "$owner" is "$owner" "epicore:epicore 750"
status=0
epicore doctor > doctor.log 2>&1 || status=$?
check "the doctor finds nothing that costs records" "exit $status: $(tail -n 1 doctor.log)" is "$status" 0
# The image leaves documentation out.
changed=$(dpkg -V epicore | grep -v '^missing.* /usr/share/doc/' || true)
check "every file is as the package has it" "${changed:-no difference}" is "$changed" ""
check "no unit has failed" "$(failed_units)" is "$(failed_units)" ""
