#!/bin/bash
# Makes the stored cores of this directory again (root, musl-gcc): five small
# static programs under /opt/epicore-demo, an empty environment, the kernel's
# own core file. `epicore demo` replays them where core_pattern may not be set.
# setcontext.core.zst is another: tests/setcontext_race.rs makes it. Beside it lies
# the library that it is about, libunwind.so.8.0.1 as Debian 12 has it (MIT licence).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
at=/opt/epicore-demo
mkdir -p "$at"
exec 9>/run/epicore-test.lock
flock 9
before=$(cat /proc/sys/kernel/core_pattern)
trap 'echo "$before" > /proc/sys/kernel/core_pattern; rm -rf "$at"' EXIT
echo "$at/core" > /proc/sys/kernel/core_pattern
ulimit -c unlimited
for name in null recursion abort divide jump; do
    musl-gcc -static -Os -fno-optimize-sibling-calls -Wl,--build-id -Wl,--eh-frame-hdr \
        -fasynchronous-unwind-tables -DVICTIM="$name" -o "$at/$name" "$here/victims.c"
    (cd "$at" && ulimit -s 64 && exec env -i "./$name") || true
    install -m 0644 "$at/core" "$here/$name.core"
    rm "$at/core"
    # Some kernels carry the path they were built at in the vdso.
    perl -0777 -pi -e 's{/nix/store/[\x21-\x7e]+}{"/" . "x" x (length($&) - 1)}ge' "$here/$name.core"
    cp "$at/$name" "$here/$name"
done
ls -l "$here"
