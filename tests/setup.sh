#!/bin/bash
# setup.sh [build|package]: what building (a linker), testing and packaging need
# beyond Rust: installed when this is root on Debian, else said. Tests that lack
# a tool say so themselves.
set -euo pipefail

command -v cargo >/dev/null || {
    echo "setup: cargo is missing; Rust 1.89 or later is needed: https://rustup.rs" >&2
    exit 1
}

declare -A package=([cc]=gcc)
if [[ ${1:-tests} == package ]]; then
    package+=(
        [objcopy]=binutils [xz]=xz-utils [dpkg-deb]=dpkg [checkmodule]=checkpolicy
        [semodule_package]=semodule-utils [python3]=python3 [git]=git
    )
    python3 -c 'import ensurepip' 2>/dev/null || package+=([no-such-tool]=python3-venv)
elif [[ ${1:-tests} != build ]]; then
    package+=(
        [man]=man-db [mandoc]=mandoc [zsh]=zsh [fish]=fish
        [g++]=g++ [gdb]=gdb [eu-stack]=elfutils [strace]=strace [objcopy]=binutils
        [musl-gcc]=musl-tools [perl]=perl [python3]=python3 [ip]=iproute2
        [checkmodule]=checkpolicy [systemd-analyze]=systemd [prlimit]=util-linux
    )
    # What tests/setcontext_race.rs races against.
    ls /usr/lib/*/libunwind.so.8 > /dev/null 2>&1 || package+=([no-such-library]=libunwind8)
fi
missing=()
for tool in "${!package[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "setup: installing ${missing[*]}"
    apt-get update -qq
    # gcc alone is no compiler without the C library's headers.
    [[ " ${missing[*]} " == *" gcc "* ]] && missing+=(libc6-dev)
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
    echo "setup: missing: ${missing[*]}" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install ${missing[*]}" >&2
    echo "  Fedora, RHEL:    sudo dnf install gcc gcc-c++ gdb elfutils strace binutils musl-gcc iproute" >&2
    exit 1
fi
