#!/bin/bash
# A service crashes three times under systemd and is up again each time.
. ./guest-lib.sh

crashes=3
cat > /etc/systemd/system/crasher.service <<UNIT
[Service]
ExecStart=/usr/local/bin/crasher 64 /var/tmp/crasher.log $crashes
Restart=always
RestartSec=0
UNIT
rm -f /var/tmp/crasher.log
systemctl daemon-reload
systemctl start crasher.service
restarted() { (($(systemctl show -P NRestarts crasher.service) >= crashes)); }
within 120 restarted || true
check "systemd started the service again after each crash" \
    "$(systemctl show -P NRestarts crasher.service) restarts of $crashes" restarted
check "the service runs again" "$(systemctl is-active crasher.service)" unit_is crasher.service active

within 60 has "$crashes" --unit crasher.service || true
found=$(records --unit crasher.service)
check "each crash of the service left a record of the unit crasher.service" \
    "$(wc -l <<< "$found") records" is "$(wc -l <<< "$found")" "$crashes"
of() { jq -rs "map($1) | unique | join(\" \")" <<< "$found"; }
check "the records are complete" "$(of .kind)" is "$(of .kind)" full
check "the records say SIGSEGV at address 0" "signal $(of .crash.sig), address $(of .crash.addr)" \
    is "$(of .crash.sig) $(of .crash.addr)" "11 0x0"
resident=$(jq -s 'map(.proc.rss) | min / 1024 | floor' <<< "$found")
check "the records say how much memory it had" "$resident MB resident" at_least "$resident" 64

said=$(journalctl -u crasher.service -o cat | grep -c "Failed with result 'core-dump'" || true)
check "systemd says core-dump, as it would without epicore" "$said times" is "$said" "$crashes"
cores=$(find / -xdev -name 'core*' -size +1M -newer /etc/systemd/system/crasher.service | wc -l)
check "no core file was written" "$cores core files" is "$cores" 0
# journald makes the line's "epicore:" the identifier of the entry.
said() { journalctl -k -t epicore -o cat -q "$@"; }
check "the journal has a line for each crash, which names its record" "$(said -p 6..6 | tail -n 1)" \
    is "$(said -p 6..6 | grep -c '^pid [0-9]* tid [0-9]* uid 0 signal 11: record [0-9a-f]\{8\}$')" 3
complaints() { said -p 0..4; }
check "the handler had nothing to complain of" "$(complaints | wc -l) warnings in the kernel's log" is "$(complaints)" ""

# From the fault to the first instruction of the next start: ours and systemd's.
mapfile -t delays < <(awk '$1 == "fault" { fault = $2 } $1 == "start" && fault { print int(($2 - fault) / 1e6) }' /var/tmp/crasher.log)
slowest=$(printf '%s\n' "${delays[@]}" | sort -n | tail -n 1)
check "the service is back within 5 seconds of the fault" "$(spread "${delays[@]}") ms" at_most "$slowest" 5000
systemctl stop crasher.service

# What cannot be kept is told in the one place that is left.
mv /var/spool/epicore /var/spool/away
crasher 0 /dev/null 1 2> /dev/null || true
told() { complaints | grep '^pid [0-9]* .*signal 11: '; }
within 30 told || true
mv /var/spool/away /var/spool/epicore
check "a crash that could not be kept is told in the journal" "$(told || echo nothing)" told
