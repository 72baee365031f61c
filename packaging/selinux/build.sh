#!/bin/bash
# build.sh OUT.pp: the SELinux module, and beside it epicore_port.cil. Both are
# loaded together: semodule -i epicore.pp epicore_port.cil
#
# Format 19 is the oldest that knows all we say, and RHEL 8 loads none newer.
set -euo pipefail

out=${1:?usage: packaging/selinux/build.sh OUT.pp}
here=$(cd "$(dirname "$0")" && pwd)
for tool in checkmodule semodule_package; do
    command -v "$tool" >/dev/null || {
        echo "selinux: $tool is missing (Debian: checkpolicy semodule-utils; RHEL: checkpolicy policycoreutils)" >&2
        exit 1
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checkmodule -M -m -c 19 -o "$work/epicore.mod" "$here/epicore.te" >/dev/null
semodule_package -o "$work/epicore.pp" -m "$work/epicore.mod" -f "$here/epicore.fc"
mkdir -p "$(dirname "$out")"
install -m 0644 "$work/epicore.pp" "$out"
install -m 0644 "$here/epicore_port.cil" "$(dirname "$out")/epicore_port.cil"
