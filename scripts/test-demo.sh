#!/usr/bin/env bash
# The demo as a user runs it: signed transfers, a proof on the Verilated card, settlement on anvil. Checks what it reports.
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
    "a verification costs at most 260,000 gas": 0 < report["settlement"]["verification_gas"] <= 260_000,
    "the state root moved": report["settlement"]["old_root"] != report["settlement"]["new_root"],
    "a tampered proof was refused": refused.get("a tampered proof") == "ProofInvalid",
    "a replayed batch was refused": refused.get("a replayed batch") == "BatchAlreadySettled",
}
for name, holds in checks.items():
    print(f"demo: {'ok    ' if holds else 'FAILED'} {name}")
print(f"demo: {report['wall_seconds']:.0f} s, {report['proof']['card']['cycles']:,} card cycles, "
      f"{report['settlement']['verification_gas']:,} gas to verify")
sys.exit(0 if all(checks.values()) else 1)
PY
