#!/bin/bash
# Runs in the guest, from vm.service: the host's command, its output and status
# into /vm/out, /vm/out to the host, and off.
set -u
export HOME=/root PATH=/vm/payload/.vm:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
cd /vm/payload || exit
bash .vm/command > /vm/out/stdout 2>&1 < /dev/null
echo $? > /vm/out/status
tar -C /vm/out -cf /dev/vdc .
systemctl poweroff
