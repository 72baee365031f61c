#!/bin/bash
# Builds epicore-handler alone and static, and puts it where $1 says.
#
# Alone, because the features of the other programs would be linked in;
# static, because it must start while the host's libraries are being replaced.
# musl where its target is installed or can be had, else glibc with
# +crt-static (--target is needed then, or proc-macros break).
set -euo pipefail

to=${1:?usage: packaging/build-handler.sh TO}
arch=$(uname -m)
musl=$arch-unknown-linux-musl
gnu=$arch-unknown-linux-gnu

has_musl() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$musl" 2>/dev/null) || return 1
    compgen -G "$libraries/libstd-*" >/dev/null && return 0
    command -v rustup >/dev/null && rustup target add "$musl"
}

if has_musl; then
    target=$musl
else
    echo "build-handler: no musl target; a static glibc build instead" >&2
    target=$gnu
    export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
fi
# packaging/package.sh takes the symbols away by itself, and keeps them apart.
export CARGO_PROFILE_DIST_STRIP=${EPICORE_STRIP:-symbols} CARGO_PROFILE_DIST_OPT_LEVEL=s
export CARGO_PROFILE_DIST_LTO=fat CARGO_PROFILE_DIST_CODEGEN_UNITS=1
cargo build --profile dist --no-default-features --bin epicore-handler --target "$target"

# Cargo may have put another build of the same name there: ours comes last,
# and in one step.
mkdir -p "$(dirname "$to")"
install -m 0755 "${CARGO_TARGET_DIR:-target}/$target/dist/epicore-handler" "$to.new"
mv -f "$to.new" "$to"
ls -l "$to"
