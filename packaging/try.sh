#!/bin/bash
# try.sh [DIR]: the packages in DIR (target/package), really installed: on this
# machine (the kernel runs the handler), and in a chroot without systemd, .deb
# and .rpm. A line for each promise; exit 1 when one does not hold.
#
# Root on Debian. core_pattern and core_pipe_limit are put back whatever
# happens; whoever else changes them for a test waits for the same lock.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

dir=$(realpath "${1:-target/package}")
[[ $(id -u) -eq 0 ]] && command -v dpkg >/dev/null || { echo "try: root on Debian is needed"; exit 2; }
command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
# shellcheck source=packaging/promise.sh
. packaging/promise.sh

deb=$(ls "$dir"/epicore_*.deb)
collector=$(ls "$dir"/epicore-collector_*.deb)
packaging/newer.sh "$deb" "$work/newer.deb" || exit 2

pattern=/proc/sys/kernel/core_pattern
limit=/proc/sys/kernel/core_pipe_limit
exec 9>/run/epicore-test.lock
flock 9
saved_pattern=$(<$pattern)
saved_limit=$(<$limit)
restore() {
    echo "$saved_pattern" > $pattern
    echo "$saved_limit" > $limit
    [[ -d $work/root/proc/1 ]] && umount "$work/root/proc"
    rm -rf "$work"
}
trap restore EXIT

is() { [[ $1 == "$2" ]] || { echo "it is: $1"; return 1; }; }
ours() { [[ $(<$pattern) == '|/usr/lib/epicore/epicore-handler '* ]] || { cat $pattern; return 1; }; }
crash() { (bash -c 'kill -SEGV $$'; :) >/dev/null 2>&1; }
records() { epicore list --json 2>/dev/null | wc -l; }
become() { # COUNT: that many full records, within ten seconds
    local n
    for n in $(seq 100); do
        [[ $(epicore list --json 2>/dev/null | grep -c '"kind":"full"') -ge $1 ]] && return
        sleep 0.1
    done
    epicore doctor
    return 1
}
gone() { ! ls -d "$@" 2>/dev/null; }

echo "On this machine, $(uname -r), PID 1 is $(cat /proc/1/comm):"
before='core.before-epicore'
echo "$before" > $pattern
echo 0 > $limit
holds "installs" dpkg -i "$deb"
holds "the kernel hands crashes to epicore" ours
crash
holds "a crash leaves a full record" become 1
holds "doctor finds no failure, and its own crash leaves a record" epicore doctor --crash
crashes=$(records)
# An upgrade beside crashes: the pattern names a file at every moment.
(
    while [[ ! -e $work/stop ]]; do
        ours >/dev/null || echo "the pattern was $(<$pattern)"
        [[ -x /usr/lib/epicore/epicore-handler ]] || echo "the handler was gone"
    done > "$work/moments"
) &
watcher=$!
(
    n=0
    while [[ ! -e $work/stop ]]; do crash; n=$((n + 1)); echo $n > "$work/made"; done
) &
crasher=$!
sleep 0.5
holds "upgrades beside a crash loop" dpkg -i "$work/newer.deb"
sleep 0.5
touch "$work/stop"
wait $watcher $crasher
holds "at no moment of the upgrade the pattern named nothing" is "$(cat "$work/moments")" ""
made=$(<"$work/made")
holds "each of the $made crashes meanwhile left a full record" become $((crashes + made))
holds "removes" dpkg -r epicore
holds "what was before is back" is "$(<$pattern) $(<$limit)" "$before 0"
holds "nothing sets it at boot" gone /etc/sysctl.d/60-epicore.conf
holds "records stay" test -d /var/spool/epicore
holds "installs again, and is enabled again" eval 'dpkg -i "$deb" && ours'
holds "purges" dpkg -P epicore
holds "what was before is back" is "$(<$pattern) $(<$limit)" "$before 0"
holds "spool, state and configuration are gone" gone /var/spool/epicore /var/lib/epicore /etc/epicore /run/epicore
holds "its user is gone" eval '! getent passwd epicore'
mkdir -p /etc/epicore && touch /etc/epicore/no-enable
holds "with /etc/epicore/no-enable it installs" dpkg -i "$deb"
holds "and leaves the kernel as it was" is "$(<$pattern)" "$before"
holds "purges" dpkg -P epicore

echo "In a chroot without systemd:"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 2>/dev/null | grep -m1 '/debian/*$')
# shellcheck disable=SC2086
holds "a root is made" mmdebstrap --variant=minbase --mode=root --quiet --include=rpm bookworm "$work/root" $mirror
mount -t proc proc "$work/root/proc"
cp "$deb" "$work/root/epicore.deb"
cp "$collector" "$work/root/collector.deb"
cp "$work/newer.deb" "$work/root/newer.deb"
in_root() { chroot "$work/root" "$@" 2>&1; }
tree() { in_root find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/cache/debconf/*' \
    -not -path '/var/log/*' -not -path '/var/lib/rpm/*' -not -path '/etc/*-' -type f -o -type l -o -type d | sort; }
tree > "$work/before"
now=$(<$pattern)
[[ $now != *epicore-handler* ]] || { echo "try: the outer kernel is epicore's already"; exit 2; }
holds "installs, both" in_root dpkg -i /epicore.deb /collector.deb
holds "the outer kernel is left alone" is "$(<$pattern)" "$now"
holds "the next boot will set it" test -e "$work/root/var/lib/epicore/enable-at-boot" -a ! -L "$work/root/etc/sysctl.d/60-epicore.conf"
holds "users and spool are there" in_root sh -c 'getent passwd epicore epicore-collector && stat -c "%U %a" /var/spool/epicore | grep -x "epicore 750"'
holds "the collector has a secret that only it reads" in_root sh -c 'stat -c "%U %a" /etc/epicore/collector.secrets | grep -x "epicore-collector 600"'
holds "upgrades" in_root dpkg -i /newer.deb
holds "half-way states mend: configured twice" in_root sh -c 'dpkg -i /newer.deb && /var/lib/dpkg/info/epicore.postinst configure 99.0-1'
holds "an interrupted installation goes on" in_root sh -c 'dpkg --unpack /epicore.deb && dpkg --configure -a'
holds "removes" in_root dpkg -r epicore epicore-collector
holds "nothing sets it at boot" eval 'gone "$work/root/etc/sysctl.d/60-epicore.conf" && gone "$work/root/var/lib/epicore/enable-at-boot"'
holds "purges" in_root dpkg -P epicore epicore-collector
tree > "$work/after"
holds "not one file is left over" diff "$work/before" "$work/after"

echo "The .rpm, in that chroot:"
rpm=$(ls "$dir"/epicore-[0-9]*.rpm)
cp "$rpm" "$(ls "$dir"/epicore-collector-[0-9]*.rpm)" "$work/root/"
in_rpm() { in_root rpm --nodeps "$@"; }
holds "installs, with its scriptlets" in_rpm -i "/$(basename "$rpm")"
holds "installs the collector" in_root sh -c 'rpm --nodeps -i /epicore-collector-*.rpm'
holds "every file is as it was packed" in_root rpm -V --nodeps epicore epicore-collector
holds "the outer kernel is left alone, the next boot will set it" eval \
    'is "$(<$pattern)" "$now" && test -e "$work/root/var/lib/epicore/enable-at-boot"'
holds "users and spool are there" in_root sh -c 'getent passwd epicore epicore-collector && test -d /var/spool/epicore/private'
holds "upgrades, with its scriptlets" in_rpm -U --force "/$(basename "$rpm")"
holds "is still to be set at boot" test -e "$work/root/var/lib/epicore/enable-at-boot"
holds "erases" in_rpm -e epicore epicore-collector
holds "nothing sets it at boot" eval 'gone "$work/root/etc/sysctl.d/60-epicore.conf" && gone "$work/root/var/lib/epicore/enable-at-boot"'
exit $broken
