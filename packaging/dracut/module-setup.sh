#!/bin/bash
# An initrd that takes /etc/sysctl.d along would name a handler that it does not
# have, and go on naming it after epicore was removed.
check() { return 0; }
depends() { return 0; }
install() {
    # shellcheck disable=SC2154 # dracut's
    rm -f "$initdir/etc/sysctl.d/60-epicore.conf" "$initdir/usr/lib/epicore/60-epicore.conf"
}
