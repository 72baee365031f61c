#!/bin/bash
# newer.sh FROM.deb TO.deb: the same package under a higher version, to try an
# upgrade with.
set -euo pipefail

from=${1:?usage: packaging/newer.sh FROM.deb TO.deb}
to=${2:?usage: packaging/newer.sh FROM.deb TO.deb}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
dpkg-deb -R "$from" "$tree"
sed -i 's/^Version: .*/Version: 99.0-1/' "$tree/DEBIAN/control"
dpkg-deb --root-owner-group -b "$tree" "$to" >/dev/null
