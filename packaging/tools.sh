#!/bin/bash
# tools.sh DIR: what making packages needs beyond Rust and a C compiler, in
# versions that were tried, below DIR. Prints what to put in front of PATH.
set -euo pipefail

dir=${1:?usage: packaging/tools.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# Built from source, a few minutes, once.
crate() {
    grep -qs "^\"$1 $2 " "$dir/.crates.toml" && return
    echo "tools: building $1 $2" >&2
    cargo install --quiet --locked --root "$dir" --target-dir "$dir/build" "$1@$2" >&2
}

# cargo-zigbuild links against the symbols of an old C library: the programs
# then run where the oldest supported distribution's is.
wheels() {
    [[ -x $dir/wheels/bin/cargo-zigbuild ]] && return
    echo "tools: installing cargo-zigbuild and zig" >&2
    python3 -m venv "$dir/wheels" >&2
    "$dir/wheels/bin/pip" install --quiet cargo-zigbuild==0.24.1 ziglang==0.17.1 >&2
}

case ${2:-all} in
    all) wheels; crate cargo-deb 3.8.0; crate cargo-generate-rpm 0.21.1; crate cargo-cyclonedx 0.5.9 ;;
    wheels) wheels ;;
    *) crate "$2" "${3:?a version}" ;;
esac
echo "$dir/bin:$dir/wheels/bin"
