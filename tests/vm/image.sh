#!/bin/bash
# image.sh ROOT: what a fresh Debian root needs to be a guest of boot.sh.
# mmdebstrap runs it once, when the image is made; what may change from test to
# test comes with the payload instead (guest-start.sh).
set -euo pipefail
root=$1

# A small initrd: unpacking the stock one takes most of an emulated boot.
printf 'MODULES=list\nCOMPRESS=zstd\nRESUME=none\n' > "$root/etc/initramfs-tools/conf.d/vm"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic > "$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all

# The other handler of the comparison, as Debian would install it, with all
# that it wants; installed by guest-compare.sh, because its package sets
# core_pattern.
rm -f "$root"/var/cache/apt/archives/*.deb
chroot "$root" apt-get install -y -qq --download-only systemd-coredump libdw1
mkdir "$root/opt/systemd-coredump"
mv "$root"/var/cache/apt/archives/*.deb "$root/opt/systemd-coredump/"

cat > "$root/etc/systemd/system/vm.service" <<'UNIT'
[Unit]
Description=what the host wants done
Requires=multi-user.target
After=multi-user.target
[Service]
Type=oneshot
# In memory: what is left on the disk is the programs' own.
ExecStart=/bin/sh -c 'mount -t tmpfs -o mode=755 vm /vm && mkdir /vm/payload /vm/out && tar -xf /dev/vdb -C /vm/payload && exec bash /vm/payload/.vm/guest-start.sh'
TimeoutStartSec=infinity
LimitCORE=infinity
UNIT
mkdir -p "$root/vm" "$root/etc/systemd/system/graphical.target.wants"
ln -s ../vm.service "$root/etc/systemd/system/graphical.target.wants/"
ln -s /lib/systemd/system/graphical.target "$root/etc/systemd/system/default.target"

# Nothing that works at its own times while something is measured.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-timesyncd.service systemd-pstore.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# The journal of earlier boots is looked at, too.
mkdir -p "$root/var/log/journal"
echo '/dev/vda / ext4 defaults 0 1' > "$root/etc/fstab"
echo vm > "$root/etc/hostname"
printf '127.0.0.1 localhost vm\n' > "$root/etc/hosts"
: > "$root/etc/machine-id"
