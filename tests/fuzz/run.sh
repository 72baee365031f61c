#!/bin/bash
# run.sh [TARGET] [-OPTION=… of libFuzzer]: fuzzes one target, or all, 60 seconds
# each; begins with the kept corpus and every input that was a bug once. Says what
# was done; exit status 1 when an input crashed, was too slow or took too much.
#
#   tests/fuzz/run.sh                               all, 60 s each
#   tests/fuzz/run.sh replay -max_total_time=1200
#
# A stable toolchain is enough: RUSTC_BOOTSTRAP=1 allows it AddressSanitizer.
# What libFuzzer learns stays in target/fuzz/work; corpus.sh makes the kept corpus
# of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
built=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR=$built/fuzz RUSTC_BOOTSTRAP=1 RUST_BACKTRACE=1
work=$CARGO_TARGET_DIR/work
all=(stream notes nt_file proc_texts eh_frame unwind fault replay spool_read record wire)

# What a target is built and run with.
features() {
    case $1 in record | wire) echo --features cli,collector ;; esac
}
options() {
    case $1 in
        stream | replay) echo "-max_len=65536 -dict=$here/dictionaries/elf.dict" ;;
        notes | nt_file | eh_frame | unwind | fault) echo "-max_len=20480 -dict=$here/dictionaries/elf.dict" ;;
        proc_texts) echo "-max_len=8192 -dict=$here/dictionaries/proc.dict" ;;
        spool_read) echo "-max_len=4096" ;;
        record | wire) echo "-max_len=16384 -dict=$here/dictionaries/record.dict" ;;
    esac
}

targets=("${all[@]}")
if [[ ${1:-} && $1 != -* ]]; then
    [[ " ${all[*]} " == *" $1 "* ]] || { echo "fuzz: no target $1; there are: ${all[*]}" >&2; exit 2; }
    targets=("$1")
    shift
fi
[[ " $* " == *" -max_total_time="* ]] || set -- -max_total_time=60 "$@"

PATH=$PATH:$built/tools/bin
if ! command -v cargo-fuzz > /dev/null; then
    echo "fuzz: cargo-fuzz is missing: installing it into $built/tools"
    CARGO_TARGET_DIR=$built/tools cargo install cargo-fuzz --locked --quiet --root "$built/tools"
fi

# What comes with git, and what was found before.
fill() {
    mkdir -p "$work/$1/corpus" "$work/$1/found"
    [[ -e $here/corpus/$1.tar.zst ]] && tar --zstd -xf "$here/corpus/$1.tar.zst" -C "$work/$1/corpus"
    cp "$here/found/$1"/* "$work/$1/corpus/" 2> /dev/null || true
}

last() { grep -o "$2" "$1" | tail -1 | grep -o '[0-9]*$' || echo 0; }

status=0
table=$(printf '%-11s %12s %8s %8s %6s %8s' target executions per-s edges new crashes)
for target in "${targets[@]}"; do
    fill "$target"
    # shellcheck disable=SC2046
    cargo fuzz build --fuzz-dir "$here" $(features "$target") "$target" > "$work/$target/build.log" 2>&1 ||
        { cat "$work/$target/build.log"; exit 2; }
    log=$work/$target/log
    before=$(ls "$work/$target/found" | sort)
    echo "fuzz: $target, $(ls "$work/$target/corpus" | wc -l) inputs; log: $log"
    # shellcheck disable=SC2046
    cargo fuzz run --fuzz-dir "$here" $(features "$target") "$target" "$work/$target/corpus" -- \
        $(options "$target") -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$work/$target/found/" "$@" > "$log" 2>&1 && ended=0 || ended=$?
    new=$(comm -13 <(echo "$before") <(ls "$work/$target/found" | sort))
    count=$(grep -c . <<< "$new" || true)
    table+=$(printf '\n%-11s %12s %8s %8s %6s %8s' "$target" \
        "$(last "$log" 'number_of_executed_units: *[0-9]*')" "$(last "$log" 'average_exec_per_sec: *[0-9]*')" \
        "$(last "$log" 'cov: [0-9]*')" "$(last "$log" 'new_units_added: *[0-9]*')" "$count")
    if [[ $ended -ne 0 ]]; then
        status=1
        grep -m3 -E 'panicked at|ERROR: |SUMMARY: ' -A1 "$log" || tail -20 "$log"
        for input in $new; do
            echo "  input:  $work/$target/found/$input"
            echo "  again:  RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$CARGO_TARGET_DIR cargo fuzz run --fuzz-dir tests/fuzz $(features "$target") $target $work/$target/found/$input"
        done
        echo "  When it is mended, the input goes to tests/fuzz/found/$target, its story to found/README.md."
    fi
done
echo
echo "$table"
exit $status
