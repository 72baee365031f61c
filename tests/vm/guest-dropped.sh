#!/bin/bash
# Crashes for which no handler begins are counted by epicored, under its own unit.
. ./guest-lib.sh

# Before Linux 6.6 the kernel tells of crashes only whoever has CAP_NET_ADMIN.
release=$(uname -r)
old() { printf '%s\n6.6\n' "${release%%-*}" | sort -VC; }
if old; then
    why=$(journalctl -u epicored.service -o cat -q | grep 'known from its log only' | tail -n 1 || true)
    check "epicored says why it cannot count here" "$release: ${why:-nothing}" like "$why" '*CAP_NET_ADMIN*'
    # As docs/daemon.md has it.
    mkdir -p /etc/systemd/system/epicored.service.d
    cat > /etc/systemd/system/epicored.service.d/count.conf <<UNIT
[Service]
AmbientCapabilities=CAP_NET_ADMIN
CapabilityBoundingSet=CAP_NET_ADMIN
UNIT
    systemctl daemon-reload
    systemctl restart epicored.service
fi
told() { epicore status --json | jq -c '.dropped | [.crashes, .dropped, .exact]'; }
is_told() { [[ $(told) == "$1" ]]; }
within 30 is_told "[0,0,true]" || true
check "epicored counts what the kernel tells of crashes" "$(told)" is_told "[0,0,true]"

crash > /dev/null
for _ in 1 2 3 4; do
    prlimit --core=1 crasher 0 /dev/null 1 2> /dev/null || true
done
within 30 is_told "[5,4,true]" || true
check "of five crashes, four with a core limit of 1, no handler began for four" "$(told)" is_told "[5,4,true]"
said=$(/usr/lib/epicore/epicore-handler --census --print | grep '^crashes: ' || true)
check "the census says so, too" "$said" like "$said" 'crashes: no handler began for 4 (counted from *'
check "and people are told" "$(epicore status | grep '  kernel')" \
    like "$(epicore status | grep '  kernel')" '*5 crashes since *; no handler began for 4'
warned=$(journalctl -u epicored.service -p warning -o cat -q)
check "epicored has nothing to warn of" "${warned:-nothing}" is "$warned" ""

# At a random time, but now: the unit, with all that it forbids.
systemctl stop epicore-census.timer
mkdir -p /etc/systemd/system/epicore-census.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/lib/epicore/epicore-handler --census\n' \
    > /etc/systemd/system/epicore-census.service.d/now.conf
systemctl daemon-reload
before=$(find /var/spool/epicore -name '*.exp*' | wc -l)
status=0
systemctl start epicore-census.service || status=$?
left=$(($(find /var/spool/epicore -name '*.exp*' | wc -l) - before))
check "a census under its unit leaves a report" "exit $status, $left reports" is "$status $left" "0 1"
rm -r /etc/systemd/system/epicore-census.service.d
systemctl daemon-reload
systemctl start epicore-census.timer
