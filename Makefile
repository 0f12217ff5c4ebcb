# Carillon's front door. Every target sets up what it needs first (scripts/setup.sh: quick when all is there).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Options of the demo, e.g. make demo DEMO="--txs 1 --engine cpu"
DEMO ?=
# The features of everything that `make test` builds: both arithmetic views of the Verilated card.
FEATURES := rtl,rtl-structural
# The VM gate: VM_REQUIRED=1 makes a skip a failure; VM_CARDS are the simulated cards on the guest's PCI bus; VM holds more options of scripts/vm/run.
VM_REQUIRED ?=
VM_CARDS ?= model,model,model,model,rtl
VM ?=
# Miri, and what it can run: logic without system calls, threads or shared memory.
MIRI ?= cargo miri
PURE := ring:: granules:: ledger:: deadline:: completion:: command:: status:: windows::

.PHONY: help setup demo test parts lint rtl-lint rust-lint formal mutants generated rust-test build-tests block-tests suites cocotb soak loom miri e2e package deb vm-test vm-shell doc deny bench area fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## fetch the tools that are missing (Verilator, PeakRDL, anvil, solc, ...)
	@scripts/setup.sh

# Standard output is the demo's alone: its options may ask for JSON.
demo: setup ## prove a batch of signed transfers on the simulated card and settle it on a local Ethereum node
	@[ -x $${CARGO_TARGET_DIR:-target}/debug/carillon-node ] || printf '%s\n' \
	  'The first build takes about 15 minutes on two cores. cargo shows how far it is; it stands longest at carillon-sim,' \
	  'where Verilator translates the gateware to C++ and the compiler builds that. A second `make demo` builds nothing.' >&2
	@echo 'cargo build -p carillon-node --features rtl --bin carillon-node' >&2
	@cargo build -p carillon-node --features rtl --bin carillon-node
	@$${CARGO_TARGET_DIR:-target}/debug/carillon-node demo $(DEMO)

test: parts setup ## everything CI checks, and where its time went
	@$(MAKE) --no-print-directory -j2 --output-sync=target rtl-lint generated
	@$(MAKE) --no-print-directory rust-lint build-tests
	@scripts/beside $${CARGO_TARGET_DIR:-target}/block-tests.log env RUST_TEST_THREADS=1 $(MAKE) --no-print-directory block-tests cocotb formal \
	  -- $(MAKE) --no-print-directory suites e2e vm-test
	@scripts/parts report

parts:
	@scripts/parts start

lint: rtl-lint rust-lint ## formatting, dependencies, clippy, RTL lint

rust-lint: setup ## formatting, dependencies, clippy
	@scripts/lint-rust.sh $(FEATURES)

rtl-lint: setup ## the gateware alone: Verilator, verible, slang
	@scripts/parts run 'RTL lint' scripts/lint-rtl.sh

formal: setup ## prove the scheduler, the queues, what faces the buses, and the modular adders (part of `make test`)
	@scripts/parts run formal scripts/formal.sh

mutants: setup ## leave out each constraint of the batch circuit, each absorbed value and each part of a tuple: a forgery must work then (about 5 minutes)
	cargo test -p carillon-circuit --test rollup -- --ignored --nocapture can_be_left_out

generated: setup ## committed generated files are fresh (registers, constants, contracts)
	@scripts/parts run 'generated files' scripts/check-generated.sh

rust-test: build-tests block-tests suites ## Rust, RTL and contract tests; driver/FAULTS.md says what they have seen

build-tests: setup
	@scripts/parts run 'building the tests' cargo test --workspace --features $(FEATURES) --no-run $(if $(RUSTC_WORKSPACE_WRAPPER),--all-targets)

block-tests: setup
	@scripts/parts run 'block tests' cargo test --workspace --features $(FEATURES) $$(scripts/suites blocks)

suites: setup
	rm -rf $${CARGO_TARGET_DIR:-target}/faults
	@scripts/parts run tests cargo test --workspace --features $(FEATURES) $$(scripts/suites others)
	@scripts/parts run tests cargo test --workspace --features $(FEATURES) --doc
	scripts/faults-table --check
	scripts/test-project
	scripts/test-demo-output.sh

cocotb: setup ## the whole card against cocotbext-axi: random jobs, pauses, resets in mid-transfer (a sample; `make soak` runs 204 jobs)
	@scripts/parts run cocotb $${CARILLON_TOOLS:-.tools}/py/bin/python hdl/cocotb/run.py --seeds 1..2

soak: setup ## 2,000 hostile connections of every kind for a minute against a node with 1,024 descriptors; 1,000 messages a second between two nodes for a minute; ten thousand random MSMs; large transforms; 204 jobs on the card; proofs that must fail; the proof of the demo's batch on every engine
	cargo test --release -p carillon-node --test node_service -- --ignored --nocapture soak_
	cargo test --release -p carillon-node --test node_l1 -- --ignored --nocapture soak_
	cargo test -p carillon-hdl-tests --features rtl --test msm_random -- --ignored soak_
	cargo test -p carillon-hdl-tests --features rtl --test ntt_engine -- --ignored --nocapture soak_large
	$${CARILLON_TOOLS:-.tools}/py/bin/python hdl/cocotb/run.py --seeds 1..17
	scripts/formal.sh --mutants
	CARILLON_BLOCKS=ntt_engine_28 cargo test -p carillon-hdl-tests --features rtl --test ntt_engine -- --ignored --nocapture soak_a_transform
	cargo test -p carillon-node --features rtl --bin carillon-node -- --ignored --nocapture soak_

loom: setup ## the hand-over of commands and completions in every order that memory allows (part of rust-test, under a second)
	cargo test -p carillon-driver --lib -- handoff::

miri: setup ## the driver's pure modules under Miri; skipped with one line where the toolchain has none
	@if $(MIRI) --version >/dev/null 2>&1; then \
	  PROPTEST_CASES=4 MIRIFLAGS="-Zmiri-disable-isolation" $(MIRI) test -p carillon-driver --lib -- $(PURE); \
	else \
	  echo 'miri: SKIPPED, no Miri in this toolchain. To add it: rustup toolchain install nightly --component miri; then: make miri MIRI="cargo +nightly miri"'; \
	fi

e2e: setup ## the demo as a user runs it, on the Verilated card; the Debian package installed, examined and purged
	@scripts/parts run demo scripts/test-demo.sh $(FEATURES)
	@scripts/setup.sh --deb
	@scripts/parts run packages scripts/test-deb.sh

deb: setup ## build the Debian packages of carillon and carillon-node (release build)
	@scripts/setup.sh --deb
	scripts/build-deb.sh

vm-test: setup ## the driver on Linux's own VFIO and IOMMU, in an emulated machine (no root, no KVM); skipped with one line where QEMU cannot be had
	@scripts/parts run 'VM gate' scripts/vm/run $(if $(VM_REQUIRED),--required) --cards $(VM_CARDS) --build "--workspace --features $(FEATURES)" $(VM)
	@seen=$${CARGO_TARGET_DIR:-target}/vm/faults.log; if [ -s "$$seen" ]; then scripts/faults-table --check --console "$$seen"; fi

vm-shell: setup ## a console in that machine, with the card bound to VFIO
	scripts/vm/run --required --shell --cards $(VM_CARDS) --build "--workspace --features $(FEATURES)" $(VM)

package: setup ## package every crate and build each from its package (long)
	cargo package --workspace --exclude carillon-hdl-tests --exclude carillon-benches --exclude carillon-testing

doc: setup ## the pages of every crate's public items; any warning ends it
	CARILLON_VERILATE=0 RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features $(FEATURES)

deny: ## cargo-deny (built the first time, minutes): licences, sources, and advisories where their database can be reached
	@scripts/deny.sh

bench: setup ## side-by-side benchmarks (criterion, release build)
	cargo bench --workspace

area: setup ## synthesise the MSM's blocks for UltraScale+ and write hdl/doc/area.md (takes long)
	$${CARILLON_TOOLS:-.tools}/py/bin/python scripts/area

fmt: setup ## format Rust and SystemVerilog in place
	cargo fmt --all
	scripts/lint-rtl.sh --fix

clean: ## remove build output and fetched tools
	rm -rf target .tools
