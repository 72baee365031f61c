#!/bin/bash
# What the tests need beyond Rust: installed when this is root on Debian, else
# said. Tests that lack a tool say so themselves.
set -euo pipefail

declare -A package=(
    [cc]=gcc [g++]=g++ [gdb]=gdb [eu-readelf]=elfutils [strace]=strace [objcopy]=binutils
)
missing=()
for tool in "${!package[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "tests/setup.sh: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
    echo "tests/setup.sh: missing: ${missing[*]}" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install ${missing[*]}" >&2
    echo "  Fedora, RHEL:    sudo dnf install gcc gcc-c++ gdb elfutils strace binutils" >&2
    exit 1
fi
