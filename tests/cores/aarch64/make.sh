#!/bin/bash
# Makes the stored cores of this directory again: victims.c dies in every way it
# knows under Debian 12's own arm64 kernel in an emulated machine, so that the
# core files are a real kernel's; what gdb says of each goes to judged.txt
# (kind, signal, pc, sp, x29, x30, si_code, si_addr, functions innermost first).
# Needs gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm gdb-multiarch
# cpio zstd, and a Debian mirror for the kernel (60 MB); some twenty seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kinds=$(sed -n '/kinds\[\] = {/,/^};/s/{ \("[a-z-]*"\), [a-z_]* },*/\n\1\n/gp' "$here/victims.c" |
    sed -n 's/^"\(.*\)"$/\1/p')
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# The kernel, by an apt that knows arm64 only and nothing of this host's.
mkdir -p apt/lists/partial apt/cache/archives/partial apt/etc/{apt.conf,preferences}.d root
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "${MIRROR:-http://deb.debian.org/debian} bookworm main" > apt/etc/sources.list
: > apt/status
cat > apt/config <<end
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc "$tmp/apt/etc";
Dir::State "$tmp/apt";
Dir::State::Lists "$tmp/apt/lists";
Dir::State::status "$tmp/apt/status";
Dir::Cache "$tmp/apt/cache";
end
export APT_CONFIG=$tmp/apt/config
apt-get -qq update
kernel=$(apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p')
apt-get -qq download "$kernel"
dpkg-deb --fsys-tarfile "$kernel"_*.deb | tar -xO "./boot/vmlinuz-${kernel#linux-image-}" > vmlinuz

cp "$here"/*.c .
aarch64-linux-gnu-gcc -nostdlib -ffreestanding -static -no-pie -fno-pie -O1 -g0 \
    -fno-omit-frame-pointer -fasynchronous-unwind-tables -fno-stack-protector -Wno-infinite-recursion \
    -Wl,--build-id -Wl,--eh-frame-hdr -Wl,-z,norelro -o root/victims victims.c
aarch64-linux-gnu-gcc -static -O1 -s -o root/init init.c
(cd root && printf 'init\nvictims\n' | cpio -o -H newc --quiet) > initrd
timeout 600 qemu-system-aarch64 -M virt -cpu cortex-a72 -m 256 -nographic -nic none -no-reboot \
    -kernel vmlinuz -initrd initrd \
    -append "console=ttyAMA0 quiet loglevel=1 panic=-1 kinds=$(echo $kinds | tr ' ' ,)" \
    < /dev/null | tr -d '\r' > console

install -m 0755 root/victims "$here/victims"
cat > judge.py <<'end'
def ask(what):
    try:
        return what()
    except gdb.error:
        return "-"
def value(name):
    return ask(lambda: "%#x" % (int(gdb.parse_and_eval("(unsigned long)" + name)) & 2**64 - 1))
def number(name):
    return ask(lambda: str(int(gdb.parse_and_eval(name))))
def names():
    frame = ask(gdb.newest_frame)
    while frame not in (None, "-"):
        yield ("<signal handler called>" if frame.type() == gdb.SIGTRAMP_FRAME
               else frame.name() or "??")
        frame = ask(frame.older)
line = [number("$_siginfo.si_signo"), *map(value, ["$pc", "$sp", "$x29", "$x30"]),
        number("$_siginfo.si_code"), value("$_siginfo._sifields._sigfault.si_addr"),
        ",".join(names()) or "-"]
print("judged\t" + "\t".join(line))
end
for kind in $kinds; do
    sed -n "/^=== begin $kind\$/,/^=== end $kind /p" console > "$kind.text"
    sed '/^=== /d' "$kind.text" | base64 -d > "$kind.core"
    [ "$(stat -c %s "$kind.core")" = "$(sed -n 's/^=== end .* //p' "$kind.text")" ]
    zstd -q -19 -f "$kind.core" -o "$here/$kind.core.zst"
    gdb-multiarch -nx -batch -iex 'set debuginfod enabled off' -iex 'set auto-load off' \
        -ex 'set pagination off' -ex "set sysroot $tmp/root" -ex 'set backtrace past-main on' \
        -ex "core-file $kind.core" -ex 'source judge.py' root/victims 2> /dev/null |
        sed -n "s/^judged/$kind/p"
done > judged
[ "$(wc -l < judged)" = "$(wc -w <<< "$kinds")" ]
install -m 0644 judged "$here/judged.txt"
ls -l "$here"
