#!/bin/bash
# boot.sh [options] COMMAND: Debian with its stock kernel and systemd in QEMU;
# runs COMMAND in it as root, prints its output, exits with its status.
#
#   -p DIR    files for the guest: COMMAND's working directory is a copy
#   -o DIR    what comes back: the guest's /vm/out, `said` and `console`
#   -d DISK   the guest's disk stays as the guest leaves it, and is made from
#             the image where it is not there; without it changes are dropped
#   -c WORDS  a power cut: QEMU is killed (SIGKILL) as soon as the guest says a
#             line that begins with WORDS; exit 0 when that happened
#   -m MB, -s CPUS, -t SECONDS
#
# In the guest, `vm-say WORDS` is a line in DIR/said at once, and `vm-hmp WORDS`
# a command for QEMU's monitor (machine checks). VM_CPU is another processor
# model, VM_APPEND more for the kernel's command line. No network. What it needs
# it installs, as root on Debian. Exit 125: the machine failed, not COMMAND.
#
# The image is made once (some minutes) and kept in EPICORE_VM_CACHE
# (target/vm): Debian bookworm is the oldest system that the packages promise.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${EPICORE_VM_CACHE:-$here/../../target/vm}
payload='' out='' disk='' cut='' memory=1024 cpus=2 seconds=900
while getopts p:o:d:c:m:s:t: option; do
    case $option in
    p) payload=$(realpath "$OPTARG") ;;
    o) mkdir -p "$OPTARG" && out=$(realpath "$OPTARG") ;;
    d) disk=$(realpath "$OPTARG") ;;
    c) cut=$OPTARG ;;
    m) memory=$OPTARG ;;
    s) cpus=$OPTARG ;;
    t) seconds=$OPTARG ;;
    *) exit 125 ;;
    esac
done
shift $((OPTIND - 1))
command=${1:?boot.sh: a command for the guest is missing}

fail() {
    echo "boot.sh: $*" >&2
    exit 125
}

install_needs() {
    local missing=()
    command -v qemu-system-x86_64 > /dev/null || missing+=(qemu-system-x86)
    command -v mmdebstrap > /dev/null || missing+=(mmdebstrap)
    command -v mke2fs > /dev/null || missing+=(e2fsprogs)
    [[ ${#missing[@]} -eq 0 ]] && return
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get > /dev/null; then fail "missing: ${missing[*]}"; fi
    echo "boot.sh: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # A qemu-utils of backports keeps the stock QEMU out: then that goes back, too.
    local apt=(apt-get install -y -qq --no-install-recommends --allow-downgrades)
    "${apt[@]}" "${missing[@]}" >&2 || "${apt[@]}" "${missing[@]}" qemu-utils/stable >&2 ||
        fail "could not install ${missing[*]}"
}

make_image() {
    local packages=systemd-sysv,udev,dbus,linux-image-amd64,kmod,procps,zstd,jq,sqlite3,ca-certificates
    local name
    name=image-$(cat "$here/image.sh" <(echo "$packages") | sha256sum | cut -c 1-12)
    image=$cache/$name
    [[ -s $image/disk ]] && return
    [[ $(id -u) -eq 0 ]] || fail "making the image needs root"
    echo "boot.sh: making the image; this takes some minutes, once" >&2
    local work=$image.new
    rm -rf "$work" && mkdir -p "$work"
    mmdebstrap --variant=minbase --mode=root --quiet --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include="$packages" --customize-hook="$here/image.sh \"\$1\"" \
        bookworm "$work/root" > "$work/log" 2>&1 || { tail -20 "$work/log" >&2; fail "no image"; }
    cp "$work"/root/boot/vmlinuz-* "$work/kernel"
    cp "$work"/root/boot/initrd.img-* "$work/initrd"
    mke2fs -q -F -t ext4 -d "$work/root" "$work/disk.new" 8G > /dev/null || fail "no image"
    rm -rf "$work/root"
    mv "$work/disk.new" "$work/disk" && rm -rf "$image" && mv "$work" "$image"
}

[[ $(uname -m) == x86_64 ]] || fail "the guest is x86_64; this machine is not"
install_needs
mkdir -p "$cache" && cache=$(realpath "$cache")
make_image

work=$(mktemp -d "$cache/run.XXXXXX")
qemu=''
# shellcheck disable=SC2317 # the trap calls it
finish() {
    [[ -z $qemu ]] || kill -9 "$qemu" 2> /dev/null || true
    rm -rf "$work"
}
trap finish EXIT
out=${out:-$work/out}
mkdir -p "$work/in" "$out"
[[ -z $payload ]] || cp -a "$payload/." "$work/in/"
mkdir -p "$work/in/.vm"
cp "$here"/vm-* "$here/guest-start.sh" "$work/in/.vm/"
chmod 755 "$work"/in/.vm/*
printf '%s\n' "$command" > "$work/in/.vm/command"
tar -C "$work/in" -cf "$work/in.tar" . && truncate -s %1M "$work/in.tar" && rm -rf "$work/in"
truncate -s 1G "$work/out.tar"

# snapshot=on: what the guest writes is gone afterwards. With -d it goes into
# the file as the guest's kernel writes it back; what the guest has not synced
# is in the guest's memory, and dies with QEMU as in a power cut.
drive="file=$image/disk,snapshot=on"
if [[ -n $disk ]]; then
    [[ -e $disk ]] || cp --sparse=always --reflink=auto "$image/disk" "$disk"
    drive="file=$disk,cache=writeback"
fi
# A nested KVM without svm or vmx hangs in the firmware: emulation there.
if [[ -w /dev/kvm ]] && grep -qwE 'svm|vmx' /proc/cpuinfo; then
    machine=(-accel kvm -cpu "${VM_CPU:-host}")
else
    machine=(-accel "tcg,thread=multi" -cpu "${VM_CPU:-max}")
fi
: > "$out/said"
# ttyS0 is the console. ttyS1 is joined to the monitor, by a socket of which
# QEMU holds both ends. ttyS2 is what the guest says.
qemu-system-x86_64 -machine q35 "${machine[@]}" -m "$memory" -smp "$cpus" \
    -display none -nodefaults -no-reboot -device virtio-rng-pci \
    -kernel "$image/kernel" -initrd "$image/initrd" \
    -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 ${VM_APPEND:-}" \
    -drive "$drive,if=virtio,format=raw" \
    -drive "file=$work/in.tar,if=virtio,format=raw,readonly=on" \
    -drive "file=$work/out.tar,if=virtio,format=raw,cache=unsafe" \
    -chardev "socket,id=monitor,path=$work/monitor,server=on,wait=off" -mon chardev=monitor \
    -chardev "socket,id=hmp,path=$work/monitor" \
    -serial "file:$out/console" -serial chardev:hmp -serial "file:$out/said" 2> "$out/qemu" &
qemu=$!

# Until it ends, says the words, or takes too long.
deadline=$((SECONDS + seconds))
said() { [[ -n $cut ]] && grep -aq "^$cut" "$out/said"; }
while kill -0 "$qemu" 2> /dev/null; do
    if said; then
        kill -9 "$qemu"
        wait "$qemu" 2> /dev/null || true
        qemu=''
        exit 0
    fi
    ((SECONDS < deadline)) || fail "no end after $seconds s; console: $(tail -c 2000 "$out/console")"
    sleep 0.05
done
status=0
wait "$qemu" || status=$?
qemu=''
[[ -z $cut ]] || fail "the guest ended and never said \"$cut\""
tar -xf "$work/out.tar" -C "$out" 2> /dev/null || true
[[ -s $out/status ]] || fail "no result (QEMU: $status); console: $(tail -c 2000 "$out/console")"
cat "$out/stdout"
exit "$(cat "$out/status")"
