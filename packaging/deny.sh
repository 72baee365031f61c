#!/bin/bash
# deny.sh: licences, sources and banned crates by deny.toml; advisories where
# their database can be had. Installs cargo-deny where CI is, else says how.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
if ! command -v cargo-deny >/dev/null; then
    if [[ -z ${CI:-} ]]; then
        echo "lint: dependencies are not checked: cargo install --locked cargo-deny@$version"
        exit 0
    fi
    cargo install --quiet --locked "cargo-deny@$version"
fi
cargo deny --log-level error check licenses bans sources
if ! said=$(cargo deny --log-level error check advisories 2>&1); then
    # Without the database there is nothing to say of advisories; with it
    # there is.
    if grep -qE 'failed to (fetch|clone|acquire|open)' <<<"$said"; then
        echo "skipped: advisories: their database cannot be had here"
    else
        echo "$said" >&2
        exit 1
    fi
fi
