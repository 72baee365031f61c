#!/bin/bash
# check.sh [DIR]: what packages promise, asked of those in DIR (target/package).
# A line for each promise; exit 1 when one does not hold. Tools that are not
# there are installed when this is root on Debian, else named and left out.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

dir=${1:-target/package}
# shellcheck source=packaging/promise.sh
. packaging/promise.sh
ok() { printf 'ok       %s\n' "$*"; }
skip() { printf 'skipped  %s\n' "$*"; }
need() { # TOOL PACKAGE
    command -v "$1" >/dev/null && return
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return
    apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1
    command -v "$1" >/dev/null
}

deb=$(ls "$dir"/epicore_*.deb) && collector=$(ls "$dir"/epicore-collector_*.deb) || exit 1
rpm=$(ls "$dir"/epicore-[0-9]*.rpm) && rpm_collector=$(ls "$dir"/epicore-collector-[0-9]*.rpm) || exit 1
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
dpkg-deb -x "$deb" "$unpacked"
dpkg-deb -x "$collector" "$unpacked"
handler=$unpacked/usr/lib/epicore/epicore-handler

# --- programs
is_static() { ! grep -q INTERP <<<"$(readelf -lW "$1")" && ! grep -q NEEDED <<<"$(readelf -dW "$1")"; }
newest() { objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1; }
not_newer() { [[ $(printf '%s\n' "$(newest "$1")" "GLIBC_$2" | sort -V | tail -1) == "GLIBC_$2" ]]; }
holds "the handler needs nothing of the host: no loader, no library" is_static "$handler"
for program in epicore epicored epicore-collector; do
    file=$unpacked/usr/bin/$program
    holds "$program asks for no C library newer than 2.28 (it asks for $(newest "$file"))" not_newer "$file" 2.28
done
has_build_id() { grep -q 'Build ID: [0-9a-f]\{40\}' <<<"$(readelf -n "$1")"; }
has_no_debug() { ! grep -q '\.debug_info' <<<"$(readelf -SW "$1")"; }
symbols=$(tar -tJf "$dir"/epicore-*-debug-*.tar.xz)
debug_is_there() {
    local id
    id=$(readelf -n "$1" | sed -n 's/.*Build ID: //p')
    grep -q "/${id:0:2}/${id:2}.debug$" <<<"$symbols"
}
names_no_machine() { ! strings -a "$1" | grep -E "$PWD/|$HOME/\.cargo"; }
for file in "$handler" "$unpacked"/usr/bin/*; do
    name=$(basename "$file")
    holds "$name has a build-id" has_build_id "$file"
    holds "$name has no debug information, and its symbols are in the archive" \
        eval 'has_no_debug "$file" && debug_is_there "$file"'
    holds "$name names no path of the machine that built it" names_no_machine "$file"
done

# --- packages
if need lintian lintian; then
    holds "lintian has no error: $(basename "$deb")" lintian --fail-on error --tag-display-limit 0 --allow-root "$deb"
    holds "lintian has no error: $(basename "$collector")" lintian --fail-on error --tag-display-limit 0 --allow-root "$collector"
else skip "lintian"; fi
if need rpmlint rpmlint && need rpm rpm; then
    lint() { local said; said=$(rpmlint -c packaging/rpm/rpmlint.toml "$1" 2>&1); echo "$said"; [[ $said == *" 0 errors"* ]]; }
    holds "rpmlint has no error: $(basename "$rpm")" lint "$rpm"
    holds "rpmlint has no error: $(basename "$rpm_collector")" lint "$rpm_collector"
else skip "rpmlint"; fi
# The same files in both, but for where zsh looks and what only one has.
listed() { sed 's#^\./##; s#^/##; s#zsh/vendor-completions#ZSH#; s#zsh/site-functions#ZSH#' | grep -v '/$' |
    grep -vE 'share/(doc|licenses|lintian|selinux)/' | sort; }
same_files() {
    diff <(dpkg-deb --fsys-tarfile "$1" | tar -t | listed) <(rpm -qpl "$2" 2>/dev/null | listed)
}
if need rpm rpm; then
    holds "the rpm has the files of the deb: epicore" same_files "$deb" "$rpm"
    holds "the rpm has the files of the deb: epicore-collector" same_files "$collector" "$rpm_collector"
else skip "rpm"; fi

# A page that an installed one names is installed, in each package by itself.
pages_are_there() {
    local root said
    root=$(mktemp -d)
    dpkg-deb -x "$1" "$root"
    cd "$root"/usr/share/doc/*/ || return
    said=$(zgrep -hoE '(docs/|\]\()[a-z-]+\.(md|json)' -- *.md* | sed 's#^docs/##; s#^\](##' | sort -u |
        while read -r page; do [[ -e $page || -e $page.gz ]] || echo "$page"; done)
    cd - > /dev/null || return
    rm -rf "$root"
    echo "$said"
    [[ -z $said ]]
}
for package in "$deb" "$collector"; do
    holds "every page that a page of $(basename "$package") names is there" pages_are_there "$package"
done

# --- units
if need systemd-analyze systemd; then
    exposure() {
        systemd-analyze security --offline=yes --no-pager "$unpacked/usr/lib/systemd/system/$1.service" 2>/dev/null |
            sed -n 's/.*exposure level[^:]*: \([0-9.]*\).*/\1/p'
    }
    for unit in epicored epicore-collector; do
        figure=$(exposure "$unit")
        holds "systemd-analyze security of $unit.service is at most 1.5 (it is $figure)" \
            awk "BEGIN { exit !(\"$figure\" != \"\" && $figure + 0 <= 1.5) }"
    done
    for unit in epicore-enable epicore-census; do
        ok "systemd-analyze security of $unit.service, which is root for a moment: $(exposure "$unit")"
    done
    # Programs that the host itself does not have (kill, in a small image) are
    # not the units' fault.
    verify() {
        local said
        said=$(systemd-analyze verify --man=no --recursive-errors=no --root="$unpacked" \
            "$unpacked"/usr/lib/systemd/system/* 2>&1 | grep -v 'is not executable: No such file')
        echo "$said"
        [[ -z $said ]]
    }
    holds "systemd finds nothing to say about the units" verify
else skip "systemd-analyze"; fi

printf '\n%-44s %10s\n' "size" "bytes"
for file in "$handler" "$unpacked"/usr/bin/* "$deb" "$collector" "$rpm" "$rpm_collector"; do
    printf '%-44s %10s\n' "$(basename "$file")" "$(stat -c %s "$file")"
done
for package in "$deb" "$collector"; do
    printf '%-44s %10s KiB\n' "installed: $(basename "$package")" "$(dpkg-deb -f "$package" Installed-Size)"
done
exit $broken
