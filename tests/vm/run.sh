#!/bin/bash
# run.sh DIR: the packages of DIR in virtual machines, as users meet them:
# epicore_*.deb (upgraded to a newer version, which is made of it when DIR has
# none) and epicore-collector_*.deb. `make vm-test` calls it. One disk lives through three
# boots; each scenario is a file guest-*.sh. Prints one table of what it saw,
# also in target/vm/table.txt; exit 0 only when every check holds.
set -euo pipefail
debs=$(realpath "${1:?run.sh: the directory of the packages is missing}")
cd "$(dirname "${BASH_SOURCE[0]}")"
EPICORE_VM_CACHE=${EPICORE_VM_CACHE:-$PWD/../../target/vm}
mkdir -p "$EPICORE_VM_CACHE"
EPICORE_VM_CACHE=$(realpath "$EPICORE_VM_CACHE")
export EPICORE_VM_CACHE
results=$EPICORE_VM_CACHE/results disk=$EPICORE_VM_CACHE/disk
rm -rf "$results" "$disk" && mkdir -p "$results/payload"

# From the oldest to the newest version.
packages() {
    local deb
    for deb in "$debs"/"$1"_*.deb; do
        printf '%s %s\n' "$(dpkg-deb -f "$deb" Version)" "$deb"
    done | sort -V | cut -d ' ' -f 2-
}
mapfile -t versions < <(packages epicore)
[[ ${#versions[@]} -ge 1 ]] || { echo "run.sh: no epicore_*.deb in $debs: make package" >&2; exit 1; }
cp "${versions[0]}" "$results/payload/old.deb"
if [[ ${#versions[@]} -ge 2 ]]; then
    cp "${versions[-1]}" "$results/payload/new.deb"
else
    ../../packaging/newer.sh "${versions[0]}" "$results/payload/new.deb"
fi
cp "$(packages epicore-collector | tail -n 1)" "$results/payload/collector.deb"
for program in crasher crashloop watch; do
    cc -O1 -static -Wall -Wextra -o "$results/payload/$program" "$program.c"
done
cp guest-*.sh "$results/payload/"

verdict() { printf 'check\t%s\t%s\t%s\t%s\n' "$@" >> "$results/checks"; }

# boot NAME SCENARIOS [options of boot.sh]
boot() {
    local name=$1 scenarios=$2 started=$SECONDS status=0
    shift 2
    echo "run.sh: $name: $scenarios" >&2
    ./boot.sh -d "$disk" -p "$results/payload" -o "$results/$name" "$@" \
        "for s in $scenarios; do bash guest-\$s.sh; done" > "$results/$name.log" 2>&1 || status=$?
    tr -d '\r' < "$results/$name/said" > "$results/said"
    grep -a '^check' "$results/said" >> "$results/checks" || true
    # A scenario that hung or took the machine with it has not said its end.
    for scenario in $scenarios; do
        [[ $scenario == cut ]] || grep -q "^check"$'\t'"$scenario"$'\t.*\tit ran to its end' "$results/said" ||
            verdict "$scenario" FAIL "it ran to its end" "boot.sh: exit $status"
    done
    cat "$results/$name.log" >&2
    echo "run.sh: $name: exit $status, $((SECONDS - started)) s" >&2
    return "$status"
}

# This processor has machine checks that software can recover from.
VM_CPU=Skylake-Server-v1 boot first "install crash dropped kernel upgrade mce" -t 1200 || true
if boot second "reboot cut" -c cut; then
    verdict cut ok "the power was cut while programs crashed" "$(grep -c ^acked "$results/said") acknowledged"
else
    verdict cut FAIL "the power was cut while programs crashed" "the guest never came so far"
fi
cp "$results/said" "$results/payload/said"
boot third "after remove compare" -m 3072 -t 3600 || true

awk -F '\t' '
    $2 != scenario { scenario = $2; print (NR > 1 ? "\n" : "") scenario }
    { printf "  %-4s  %-72s  %s\n", $3, $4, $5; failed += $3 != "ok" }
    END { printf "\n%d checks, %d failed.\n", NR, failed; exit failed > 0 || NR == 0 }
' "$results/checks" | tee "$EPICORE_VM_CACHE/table.txt"
status=${PIPESTATUS[0]}
# After a failure the disk stays, to be looked at: boot.sh -d.
((status)) || rm -f "$disk"
exit "$status"
