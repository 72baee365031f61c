#!/bin/bash
# The package goes: the kernel is told what it was told before, and a purge
# leaves nothing.
. ./guest-lib.sh

kept=$(count)
status=0
dpkg -r epicore > remove.log 2>&1 || status=$?
check "dpkg removes the package" "exit $status: $(tail -n 1 remove.log)" is "$status" 0
check "core_pattern is what it was before epicore" "$(now_pattern)" is "$(now_pattern)" "$BEFORE"
limit=$(cat /proc/sys/kernel/core_pipe_limit)
check "core_pipe_limit is what it was before epicore" "$limit" is "$limit" 3
check "no boot sets the pattern again" "$(find /etc/sysctl.d -name '*epicore*' -printf '%p ')" \
    absent /etc/sysctl.d/60-epicore.conf
check "no program of epicore runs" "$(pgrep -lx 'epicored|epicore-handler' | xargs)" \
    is "$(pgrep -x 'epicored|epicore-handler')" ""
crasher 0 /dev/null 1 2> /dev/null || true
core=$(find /var/tmp -name 'core.crasher.*' | head -n 1)
check "a crash is the kernel's own again" "${core:-no core}" test -s "$core"
left=$(find /var/spool/epicore -name '*.rec*' | wc -l)
check "the records stay" "$left of $kept" at_least "$left" "$kept"

status=0
dpkg --purge epicore > purge.log 2>&1 || status=$?
check "dpkg purges the package" "exit $status: $(tail -n 1 purge.log)" is "$status" 0
for path in /var/spool/epicore /var/lib/epicore /run/epicore /usr/lib/epicore /etc/epicore/epicore.toml; do
    check "$path is gone" "$(ls -d "$path" 2>&1)" absent "$path"
done
# Until here they say what was chosen, for a package that comes back.
dangling=$(find /etc/systemd -xtype l ! -lname /dev/null -printf '%p ')
check "no unit of it is left enabled" "${dangling:-none}" is "$dangling" ""
user=$(getent passwd epicore || true)
check "the user epicore is gone" "${user:-gone}" is "$user" ""
check "no unit has failed" "$(failed_units)" is "$(failed_units)" ""
