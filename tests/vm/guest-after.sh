#!/bin/bash
# After the power cut: `said` is what the host of the test was told before it.
. ./guest-lib.sh

replayed() { journalctl -k -o cat | grep -E 'EXT4-fs .*(recovery complete|recovery required)' || grep -i 'recovering journal' /run/initramfs/fsck.log; }
check "the filesystem saw that the power was cut" "$(replayed | head -n 1)" replayed

told() { awk -v what="$1" '$1 == what { print $2 }' said | sort -u; }
told durable > durable.told
told acked > acked.told
mv durable.told durable
mv acked.told acked
check "the test was told of many durable records" "$(wc -l < durable)" at_least "$(wc -l < durable)" 100
check "the test was told of many acknowledged records" "$(wc -l < acked)" at_least "$(wc -l < acked)" 50

status=0
records > listed.json 2> listed.err || status=$?
check "the list reads the spool" "exit $status, $(wc -l < listed.json) records; $(head -n 1 listed.err)" is "$status" 0
jq -r 'select(.kind == "full") | .id' listed.json | sort > listed
lost=$(comm -23 durable listed | wc -l)
check "every record that was durable is there and complete" "$lost of $(wc -l < durable) lost" is "$lost" 0

within 60 unit_is epicore-collector.service active || true
check "the collector runs" "$(systemctl is-active epicore-collector.service || true)" \
    unit_is epicore-collector.service active
within 60 unit_is epicored.service active || true
check "epicored runs" "$(systemctl is-active epicored.service || true)" unit_is epicored.service active
fleet() { epicore --remote http://127.0.0.1:7464 --token-file /etc/epicore/token.read list -n 100000 --json | jq -r .id | sort; }
within 60 fleet || true
fleet > stored
lost=$(comm -23 acked stored | wc -l)
check "every record that was acknowledged is the collector's" "$lost of $(wc -l < acked) lost" is "$lost" 0

# What was on its way goes on; a minimal record that the cut tore stays, told.
waiting() { epicore status --json | jq '.crashes.pending - .held.damaged'; }
drained() { [[ $(waiting) -eq 0 ]]; }
within 120 drained || true
check "epicored sends what was not acknowledged" "$(waiting) waiting" drained
crash > /dev/null
within 60 drained || true
fleet > stored
records 2> /dev/null | jq -r .id | sort > listed
missing=$(comm -23 listed stored | wc -l)
check "the collector has every record of the host, also the first crash after" \
    "$missing of $(wc -l < listed) missing" is "$missing" 0
check "the collector has none of them twice" "$(uniq -d stored | wc -l) twice" is "$(uniq -d stored)" ""
database=$(find /var/lib -name collector.db)
judged=$(sqlite3 "$database" 'PRAGMA integrity_check')
check "SQLite finds the database whole" "$judged" is "$judged" ok
status=0
epicore doctor > doctor.log 2>&1 || status=$?
check "the doctor finds nothing that costs records" "exit $status: $(tail -n 1 doctor.log)" is "$status" 0
check "no unit has failed" "$(failed_units)" is "$(failed_units)" ""
