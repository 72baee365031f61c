#!/bin/bash
# corpus.sh [TARGET …]: makes the kept corpora of tests/fuzz/corpus again, each one
# .tar.zst. Seeds (seeds.rs) come from the cores and programs of tests/cores, from
# cores that gdb makes of the same programs, and from texts.txt; to them comes what
# run.sh has learned (target/fuzz/work). `cargo fuzz cmin` keeps what reaches code
# that nothing smaller reaches. Needs gdb, and what run.sh needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
built=${CARGO_TARGET_DIR:-$PWD/target}
# What is kept of one target: bytes, each input packed by itself (together it is
# less), and inputs.
most=$((128 << 10)) inputs=1500

# A core names its program's place and environment: both are nobody's here.
cores=/tmp/epicore-fuzz seeds=$built/fuzz/seeds
rm -rf "$cores" "$seeds"
mkdir -p "$cores" "$seeds" "$here/corpus"
for name in abort divide jump null; do
    cp "tests/cores/$name" "$cores/$name"
    (cd / && env -i gdb -nx -batch -ex 'set startup-with-shell off' -ex 'unset environment' -ex run \
        -ex "generate-core-file $cores/$name.core" "$cores/$name") > /dev/null 2>&1 < /dev/null || true
    # Some kernels carry the path they were built at in the vdso.
    perl -0777 -pi -e 's{/nix/store/[\x21-\x7e]+}{"/" . "x" x (length($&) - 1)}ge' "$cores/$name.core"
done
EPICORE_CORES=$cores EPICORE_SEEDS=$seeds cargo test --quiet --no-default-features --features daemon \
    --test fuzz_corpus -- --ignored --exact seeds_are_made
rm -r "$cores"

export CARGO_TARGET_DIR=$built/fuzz RUSTC_BOOTSTRAP=1 PATH=$PATH:$built/tools/bin
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=($(ls "$seeds"))
for target in "${targets[@]}"; do
    work=$built/fuzz/work/$target
    mkdir -p "$work/corpus"
    cp "$seeds/$target"/* "$work/corpus/"
    features=()
    case $target in record | wire) features=(--features cli,collector) ;; esac
    cargo fuzz cmin --fuzz-dir "$here" "${features[@]}" "$target" "$work/corpus" > "$work/cmin.log" 2>&1 ||
        { tail -20 "$work/cmin.log"; exit 1; }
    # Small ones first; what does not fit any more stays out.
    keep=$(mktemp -d)
    size=0
    for input in $(ls -rS "$work/corpus" | head -$inputs); do
        packed=$(zstd -q -c "$work/corpus/$input" | wc -c)
        size=$((size + packed))
        [[ $size -le $most ]] || break
        cp "$work/corpus/$input" "$keep/"
    done
    tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$keep" -cf - \
        $(ls "$keep") | zstd -q -19 -f -o "$here/corpus/$target.tar.zst"
    echo "$target: $(ls "$keep" | wc -l) inputs of $(ls "$work/corpus" | wc -l), $(stat -c %s "$here/corpus/$target.tar.zst") bytes"
    rm -r "$keep"
done
