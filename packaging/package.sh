#!/bin/bash
# package.sh: everything that ships, below target/package/: .deb and .rpm,
# debug symbols apart, and a list of what is linked (SBOM).
#
#   build   each program as it ships: old C library, build-id, no symbols
#   stage   the tree as it will lie on a host: target/package/root/
#   pack    cargo-deb and cargo-generate-rpm, from that tree
#
# Twice from one commit gives the same bytes, wherever it is: times are the
# commit's, paths of this machine are mapped away. Not of the debug symbols:
# zig's own start files name the directory in them.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/package
arch=$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
# The oldest C library that a supported distribution has is RHEL 8's, 2.28.
glibc=2.28

say() { printf 'package: %s\n' "$*" >&2; }

build() {
    local cargo=${CARGO_HOME:-$HOME/.cargo} map link
    map="--remap-path-prefix=$PWD=/usr/src/epicore --remap-path-prefix=$cargo=/usr/src/cargo"
    link="-C link-arg=-Wl,--build-id=sha1"
    export CARGO_PROFILE_DIST_DEBUG=line-tables-only CARGO_PROFILE_DIST_STRIP=none
    say "the handler, static"
    EPICORE_STRIP=none RUSTFLAGS="$map $link" CARGO_TARGET_DIR="$target/ship" \
        packaging/build-handler.sh "$out/built/epicore-handler"
    say "epicore, epicored and epicore-collector, for glibc $glibc"
    # C code has paths in its asserts and its debug information, which the
    # build-id is made of.
    local paths="-ffile-prefix-map=$PWD=/usr/src/epicore -ffile-prefix-map=$cargo=/usr/src/cargo"
    CFLAGS="$paths" RUSTFLAGS="$map $link" CARGO_TARGET_DIR="$target/ship" \
        cargo zigbuild --quiet --profile dist --target "$arch-unknown-linux-gnu.$glibc" \
        --bin epicore --bin epicored --bin epicore-collector
    cp "$target/ship/$arch-unknown-linux-gnu/dist/"{epicore,epicored,epicore-collector} "$out/built/"
    say "manual pages and completions"
    rm -rf "$out/pages"
    RUSTFLAGS='' CARGO_PROFILE_DEV_DEBUG=0 cargo run --quiet --example pages -- "$out/pages"
    say "the SELinux module"
    packaging/selinux/build.sh "$out/epicore.pp"
}

# Where the twenty bytes of the build-id are.
id_at() {
    local offset
    offset=$(readelf -SW "$1" | sed -n 's/.*\.note\.gnu\.build-id *NOTE *[0-9a-f]* \([0-9a-f]*\) .*/\1/p')
    [[ -n $offset ]] || { say "$1 has no build-id"; exit 1; }
    echo $((16#$offset + 16))
}
set_id() { printf '%b' "$(sed 's/../\\x&/g' <<<"$2")" | dd of="$1" bs=1 seek="$(id_at "$1")" conv=notrunc status=none; }

# A program without its symbols, and these in a file that gdb finds by build-id.
# epicore keeps its own names: its demo shows the functions that it crashed in.
# The linker's build-id is also of the debug information, and that of zig's own
# start files names this directory: the id that ships is of what ships.
split() {
    local from=$1 to=$2 id debug keep=--strip-all whole
    mkdir -p "$(dirname "$to")"
    whole=$from.whole
    cp "$from" "$whole"
    [[ $(basename "$from") == epicore ]] && keep=--strip-debug
    objcopy "$keep" --remove-section=.comment "$from" "$to"
    set_id "$to" "$(printf '0%.0s' {1..40})"
    id=$(sha1sum < "$to" | cut -c 1-40)
    set_id "$to" "$id"
    set_id "$whole" "$id"
    debug=$out/debug/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
    mkdir -p "$(dirname "$debug")"
    objcopy --only-keep-debug --compress-debug-sections=zlib "$whole" "$debug"
    rm -f "$whole"
    chmod 0755 "$to"
    chmod 0644 "$debug"
}

put() { install -D -m "$1" "$2" "$3"; }

stage() {
    local root=$out/root page
    rm -rf "$root" "$out/debug"
    split "$out/built/epicore-handler" "$root/usr/lib/epicore/epicore-handler"
    for program in epicore epicored epicore-collector; do
        split "$out/built/$program" "$root/usr/bin/$program"
    done
    put 0644 systemd/sysctl.d/60-epicore.conf "$root/usr/lib/epicore/60-epicore.conf"
    for unit in systemd/*.service systemd/*.timer; do
        put 0644 "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
    done
    for kind in sysusers tmpfiles; do
        for file in systemd/"$kind".d/*.conf; do
            put 0644 "$file" "$root/usr/lib/$kind.d/$(basename "$file")"
        done
    done
    # Times of a checkout are its own: what is staged has the commit's.
    for file in docs/*.md docs/openapi.json SECURITY.md LICENSE; do
        put 0644 "$file" "$root/usr/share/doc/epicore/$(basename "$file")"
    done
    for file in docs/scenarios/*.toml; do
        put 0644 "$file" "$root/usr/share/doc/epicore/scenarios/$(basename "$file")"
    done
    for file in systemd/system-preset/*.preset; do
        put 0644 "$file" "$root/usr/lib/systemd/system-preset/$(basename "$file")"
    done
    put 0755 packaging/dracut/module-setup.sh "$root/usr/lib/dracut/modules.d/99epicore/module-setup.sh"
    put 0644 packaging/epicore.toml "$root/etc/epicore/epicore.toml"
    put 0644 packaging/collector.toml "$root/etc/epicore/collector.toml"
    for page in "$out"/pages/man*/*; do
        put 0644 "$page" "$root/usr/share/man/$(basename "$(dirname "$page")")/$(basename "$page")"
        gzip -9nf "$root/usr/share/man/$(basename "$(dirname "$page")")/$(basename "$page")"
    done
    for name in epicore epicore-collector; do
        put 0644 "$out/pages/completions/$name.bash" "$root/usr/share/bash-completion/completions/$name"
        put 0644 "$out/pages/completions/_$name" "$root/usr/share/zsh/vendor-completions/_$name"
        put 0644 "$out/pages/completions/$name.fish" "$root/usr/share/fish/vendor_completions.d/$name.fish"
    done
    for module in epicore.pp epicore_port.cil; do
        put 0644 "$out/$module" "$root/usr/share/selinux/packages/$module"
    done
}

# Debian's form of a changelog; what changed stands in CHANGELOG.md.
changelog() {
    printf '%s (%s-1) unstable; urgency=medium\n\n' epicore "$version"
    printf '  * Release %s; CHANGELOG.md has the changes.\n\n' "$version"
    printf ' -- epicore maintainers <maintainers@epicore.invalid>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# The same tree of debug symbols for every package manager.
debug() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$out/debug" \
        -cf - usr | xz -T1 -6 > "$out/epicore-$version-debug-$arch.tar.xz"
}

sbom() {
    local list=(cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries)
    "${list[@]}" --target "$arch-unknown-linux-gnu"
    for program in epicore epicored epicore-collector; do
        mv -f "${program}_bin.cdx.json" "$out/$program-$version.cdx.json"
    done
    # The handler is linked without the others' features.
    "${list[@]}" --target "$arch-unknown-linux-musl" --no-default-features
    mv -f epicore-handler_bin.cdx.json "$out/epicore-handler-$version.cdx.json"
    rm -f ./*_bin.cdx.json
    # Where it was built is nobody's business.
    sed -i "s#path+file://$PWD#path+file:///usr/src/epicore#" "$out"/*.cdx.json
}

pack() {
    rm -f "$out"/*.deb "$out"/*.rpm
    say "cargo-deb"
    for variant in host collector; do
        cargo deb --quiet --no-build --no-strip --deb-revision 1 --variant "$variant" -o "$out/"
    done
    say "cargo-generate-rpm"
    cargo generate-rpm --payload-compress xz -o "$out/"
    cargo generate-rpm --variant collector --payload-compress xz -o "$out/"
}

mkdir -p "$out/built"
PATH="$(packaging/tools.sh "$target/tools"):$PATH"
export PATH
[[ ${1:-} == --no-build ]] || build
stage
changelog > "$out/changelog"
debug
pack
sbom
say "done:"
ls -l "$out"/*.deb "$out"/*.rpm "$out"/*.tar.xz "$out"/*.json
