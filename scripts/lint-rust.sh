#!/usr/bin/env bash
# Formatting, dependencies and clippy.
#
#   scripts/lint-rust.sh FEATURES   the features that the workspace is built with
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
scripts/check-dependencies
scripts/check-imports
if [ -z "${RUSTC_WORKSPACE_WRAPPER:-}" ]; then
  # Without the models, which clippy does not read.
  CARILLON_VERILATE=0 scripts/parts run clippy cargo clippy --quiet --workspace --all-targets --features "$1" -- -D warnings
  exit
fi

# `.ci/run`: clippy compiles what the tests run, and a warning ends that build. See that it would.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
printf 'fn main() {\n    let text = String::new();\n    assert!(text.len() == 0);\n}\n' >"$probe/probe.rs"
if report=$("$RUSTC_WORKSPACE_WRAPPER" rustc "$probe/probe.rs" --emit metadata --out-dir "$probe" 2>&1); then
  echo "lint-rust: error: $RUSTC_WORKSPACE_WRAPPER with CLIPPY_ARGS='${CLIPPY_ARGS:-}' takes a program with a warning" >&2
  exit 1
elif [[ $report != *len_zero* ]]; then
  printf '%s\nlint-rust: error: %s cannot compile\n' "$report" "$RUSTC_WORKSPACE_WRAPPER" >&2
  exit 1
fi
echo "lint-rust: clippy compiles the tests"
