# One line of help each: `make`.
.DEFAULT_GOAL := help
SHELL := /bin/bash

TARGET := $(or $(CARGO_TARGET_DIR),target)
DIST := $(TARGET)/dist
ARCH := $(shell uname -m)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## every program, ready to install, in target/dist/
	@tests/setup.sh build
	cargo build --profile dist --bin epicore --bin epicored --bin epicore-collector
	packaging/build-handler.sh "$(DIST)/epicore-handler"

demo: build ## crash five programs and look at their records (root)
	$(DIST)/epicore demo --handler $(DIST)/epicore-handler

test: build ## all tests; says or installs what they need
	@tests/setup.sh
	@mkdir -p $(TARGET)
	set -o pipefail; cargo test --no-fail-fast -- --show-output 2>&1 | tee $(TARGET)/test.log; status=$$?; \
	if grep -q '^skipped:' $(TARGET)/test.log; then echo; echo 'Skipped:'; grep '^skipped:' $(TARGET)/test.log | sort | uniq -c; fi; exit $$status

fuzz: ## hostile bytes for every parser, 60 s each; FUZZ="replay -max_total_time=1200" one, longer
	@tests/setup.sh build
	tests/fuzz/run.sh $(FUZZ)

test-hardening: build ## storms, kills, injected calls and faults, hostile files: what an attacker would try (root, 5 min)
	@tests/setup.sh
	EPICORE_HARDENING=1 EPICORE_STORM=1 cargo test --no-fail-fast --test confinement --test old_kernels --test epitaph \
		--test killed --test daemon_dropped --test never_answers --test storms --test identity --test privacy --test spool_failures \
		--test spool_powerloss --test spool_read --test elfcore_hostile --test unwind_hostile --test fuzz_corpus -- --show-output

lint: ## formatting, clippy for both builds and both architectures, dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features --bin epicore-handler -- -D warnings
	@if rustup target add aarch64-unknown-linux-gnu > /dev/null 2>&1; then \
		cargo clippy --no-default-features --bin epicore-handler --target aarch64-unknown-linux-gnu -- -D warnings; \
	else echo 'skipped: clippy of the handler for aarch64: the target cannot be had'; fi
	packaging/deny.sh

bench: build ## how long a crash is held, against the numbers we promise
	@if [[ -x benches/run.sh ]]; then benches/run.sh "$(DIST)"; else echo "bench: benches/run.sh is not written yet"; exit 1; fi

injection: build ## thousands of crashes with known causes: how often each evidence code is seen (root, 10 min)
	EPICORE_DIST="$(abspath $(DIST))" cargo bench --quiet --bench injection -- $(INJECTION)

evidence: build ## measures src/epidemiology/evidence.tsv anew: the corpus, and a million pages (root, 30 min)
	EPICORE_DIST="$(abspath $(DIST))" cargo bench --quiet --bench injection -- --write $(INJECTION)
	cargo bench --quiet --bench innocent -- --write $(INNOCENT)

innocent-pages: ## a million pages of code of living processes against their files (root)
	cargo bench --quiet --bench innocent -- $(INNOCENT)

soak: build ## 50 daemons, a network that fails, a collector killed 20 times (5 min)
	EPICORE_DIST="$(abspath $(DIST))" cargo bench --quiet --bench soak -- $(SOAK)

bench-fleet: build ## collector, daemon and census against their numbers (40 min; root)
	EPICORE_DIST="$(abspath $(DIST))" cargo bench --quiet --bench fleet -- $(BENCH)

study-bench: ## how well a study does on simulated fleets; writes the table of docs/statistics.md (40 min)
	cargo bench --quiet --no-default-features --features daemon --bench study -- $(if $(STUDY),$(STUDY),--write)

package: ## .deb, .rpm, debug symbols and SBOM in target/package/, checked (15 min)
	@tests/setup.sh package
	packaging/package.sh
	packaging/check.sh

package-try: ## installs, crashes, upgrades, removes: here and in a chroot (root, Debian)
	packaging/try.sh

vm-test: ## the packages on booted machines: systemd, upgrades, power cuts (root, 20 min)
	@[[ -e $$(ls $(TARGET)/package/epicore_*.deb 2>/dev/null) ]] || $(MAKE) package
	tests/vm/run.sh $(TARGET)/package

.PHONY: test-hardening fuzz study-bench evidence injection innocent-pages bench-fleet soak help build demo test lint bench package package-try vm-test
