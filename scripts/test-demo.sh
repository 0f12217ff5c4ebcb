#!/usr/bin/env bash
# The demo as a user runs it: deposits, signed operations, a proof on the Verilated card, settlement on anvil, a bundle. Checks what it reports.
#
#   scripts/test-demo.sh FEATURES   the features the workspace was built with
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# As `cargo test` builds it, so that nothing is built twice.
cargo test --quiet --workspace --features "$1" --no-run
"$target/debug/carillon-node" demo --engine sim:rtl --key-dir "$target/demo-keys" --json --quiet >"$out"
python3 - "$out" <<'PY'
import json, sys

report = json.load(open(sys.argv[1]))
refused = {case["what"]: case["error"] for case in report["refused"]}
checks = {
    "outcome is settled": report["outcome"] == "settled",
    "the engine was the Verilated card": report["engine"] == "sim:rtl",
    "the card computed": report["proof"]["card"]["cycles"] > 0,
    "a settlement costs at most 500,000 gas": 0 < report["settlement"]["gas"] <= 500_000,
    "the state root moved": report["settlement"]["old_root"] != report["settlement"]["new_root"],
    "a tampered proof was refused": refused.get("a tampered proof") == "ProofInvalid",
    "another blob was refused": refused.get("another blob") == "NotTheBlobsCommitment",
    "a deposit left out was refused": refused.get("a deposit left out") == "QueueMismatch",
    "a replayed batch was refused": refused.get("a replayed batch") == "BatchAlreadyCommitted",
    "the bundle ran on Ethereum": report["bundle"]["queue_entries"] == 2,
}
for name, holds in checks.items():
    print(f"demo: {'ok    ' if holds else 'FAILED'} {name}")
print(f"demo: {report['wall_seconds']:.0f} s, {report['proof']['card']['cycles']:,} card cycles, "
      f"{report['settlement']['gas']:,} gas to settle")
sys.exit(0 if all(checks.values()) else 1)
PY
