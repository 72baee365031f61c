#!/bin/bash
# epicore and systemd-coredump, each as its package sets it up, on one machine
# and the same crashing service, in turns: from the fault until systemd sees
# the exit. And what a host that had systemd-coredump has after epicore went.
. ./guest-lib.sh

repetitions=5
dpkg -i /opt/systemd-coredump/*.deb > install.log 2>&1
theirs=$(now_pattern)
check "systemd-coredump takes the crashes" "$theirs" like "$theirs" '|/lib/systemd/systemd-coredump *'

# As an operator installs it: one package handles crashes, the other goes.
status=0
apt-get install -y -qq ./new.deb > install.log 2>&1 || status=$?
check "apt installs epicore" "exit $status: $(tail -n 1 install.log)" is "$status" 0
state=$(dpkg-query -W -f '${db:Status-Status}' systemd-coredump || true)
check "in the place of systemd-coredump" "$state" like "$state" '@(config-files|not-installed)'
ours=$(now_pattern)
check "epicore takes its crashes over" "$ours" like "$ours" "$OURS"

# For the comparison only both are there: dpkg is told to bear it, and the
# pattern is set by hand for each turn.
dpkg -i --force-conflicts /opt/systemd-coredump/systemd-coredump*.deb > install.log 2>&1
echo "$ours" > /proc/sys/kernel/core_pattern

cat > /etc/systemd/system/measured@.service <<'UNIT'
[Service]
ExecStart=/usr/local/bin/crasher %i /var/tmp/measured.log 1000000
LimitCORE=infinity
UNIT
systemctl daemon-reload

idle() { no_handler_runs && ! pgrep -f '^/lib/systemd/systemd-coredump'; }

# measure PATTERN MB: milliseconds.
measure() {
    local unit=measured@$2.service fault seen
    echo "$1" > /proc/sys/kernel/core_pattern
    systemctl start "$unit"
    within 600 unit_is "$unit" failed
    fault=$(tail -n 1 /var/tmp/measured.log | cut -d ' ' -f 2)
    seen=$(systemctl show -P ExecMainExitTimestampMonotonic "$unit")
    [[ $(systemctl show -P Result "$unit") == core-dump ]]
    systemctl reset-failed "$unit"
    within 600 idle
    awk -v seen="$seen" -v fault="$fault" 'BEGIN { printf "%.1f\n", seen / 1000 - fault / 1000000 }'
}

whole() { awk -v x="$1" 'BEGIN { print int(x + 0.5) }'; }
cores=0
for size in 50 600; do
    us=() them=()
    for ((i = 0; i < repetitions; i++)); do
        took=$(measure "$ours" $size)
        us+=("$took")
        took=$(measure "$theirs" $size)
        them+=("$took")
        cores=$((cores + $(find /var/lib/systemd/coredump -size +40M | wc -l)))
        find /var/lib/systemd/coredump -type f -delete
    done
    slowest=$(printf '%s\n' "${us[@]}" | sort -n | tail -n 1)
    fastest=$(printf '%s\n' "${them[@]}" | sort -n | head -n 1)
    check "$size MB: systemd sees the exit sooner with epicore, in each of $repetitions turns" \
        "epicore $(spread "${us[@]}") ms, systemd-coredump $(spread "${them[@]}") ms" \
        at_most "$(whole "$slowest")" "$(whole "$fastest")"
done
check "systemd-coredump kept each of its cores" "$cores of $((2 * repetitions))" is "$cores" $((2 * repetitions))
check "epicore kept a record of each of its crashes" "$(count --unit 'measured@*') records" \
    is "$(count --unit 'measured@*')" $((2 * repetitions))

# What a host that had it is left with.
echo "$theirs" > /proc/sys/kernel/core_pattern
epicore enable > enable.log 2>&1
dpkg --purge epicore > purge.log 2>&1
check "without epicore the crashes are systemd-coredump's again" "$(now_pattern)" is "$(now_pattern)" "$theirs"
crasher 0 /dev/null 1 2> /dev/null || true
kept() { find /var/lib/systemd/coredump -name 'core.crasher.*' | grep -q .; }
within 60 kept || true
check "and it keeps them" "$(find /var/lib/systemd/coredump -name 'core.crasher.*' -printf '%f\n' | head -n 1)" kept
