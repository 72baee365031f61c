#!/bin/sh
# run.sh DIST [ARGUMENTS]: measures DIST/epicore-handler; `make bench` calls it.
# BENCH="--quick" (or any other arguments of benches/release) is passed on.
set -eu
EPICORE_DIST=$(cd "${1:-target/dist}" && pwd)
export EPICORE_DIST
[ $# -eq 0 ] || shift
cd "$(dirname "$0")/.."
# shellcheck disable=SC2086 # several arguments in one variable
exec cargo bench --quiet --bench release -- ${BENCH:-} "$@"
