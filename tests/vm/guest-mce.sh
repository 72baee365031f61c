#!/bin/bash
# The machine complains while programs crash: the record has what it said.
. ./guest-lib.sh

row() { awk -v row="$1:" '$1 == row { print $2 + $3 }' /proc/interrupts; }
of() { jq -r ".hw.irq[]? | select(.[0] == \"$1\") | .[1]" <<< "$record"; }

record=$(crash)
check "before, the record counts no machine check" "MCE $(of MCE)" is "$(of MCE)" 0

# A corrected error waits in its bank until the kernel's next poll: of every
# second, once that is asked for (which looks through all banks, too).
echo 1 > /sys/devices/system/machinecheck/machinecheck0/check_interval
logged() { dmesg | grep -F "Bank $1: $2"; }
corrected() {
    vm-hmp mce 0 5 0x9c00000000000000 0 0x1234000 0x8c
    within 20 logged 5 9c00000000000000
}
corrected || corrected || corrected || true
check "the kernel found the corrected error" \
    "$(logged 5 9c00000000000000 || dmesg | grep -i 'machine check' | tail -n 1)" logged 5 9c00000000000000

# One that software can recover from is an exception on every CPU.
vm-hmp mce -b 0 9 0xbd000000000000c0 0x5 0x1234000 0x8c
checked() { (($(row MCE) > 0)); }
within 60 checked || true
check "the kernel took the machine check" "MCE $(row MCE) in /proc/interrupts" checked

record=$(crash)
check "the record counts machine checks as the kernel does" "MCE $(of MCE)" is "$(of MCE)" "$(row MCE)"
check "the record counts polls" "MCP $(of MCP)" at_least "$(of MCP)" 1
taint=$(jq -r .hw.taint <<< "$record")
check "the record has the taint of a machine check" "taint $taint" test $((taint & 16)) -ne 0
shown=$(epicore show last | grep -i 'machine check' || true)
check "people are told" "${shown:-nothing}" like "$shown" '*achine check*'
