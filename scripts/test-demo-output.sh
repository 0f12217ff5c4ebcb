#!/usr/bin/env bash
# `make demo` prints on standard output what the demo prints, and nothing else. Builds nothing: cargo and the demo are stand-ins here.
#
#   scripts/test-demo-output.sh
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/target/debug"
printf '#!/bin/sh\n' >"$folder/bin/cargo"
printf '#!/bin/sh\necho "{\\"given\\": \\"$*\\"}"\n' >"$folder/target/debug/carillon-node"
chmod +x "$folder/bin/cargo" "$folder/target/debug/carillon-node"
printed=$(MAKEFLAGS='' MAKELEVEL='' PATH="$folder/bin:$PATH" CARGO_TARGET_DIR="$folder/target" make demo DEMO=--json 2>"$folder/stderr")
if [ "$printed" != '{"given": "demo --json"}' ]; then
  printf 'test-demo-output: error: standard output of make demo has more than the demo printed:\n%s\n' "$printed" >&2
  exit 1
fi
grep -q '^setup: ready' "$folder/stderr" || { echo 'test-demo-output: error: nothing says that setup is ready' >&2; exit 1; }
echo 'test-demo-output: make demo prints what the demo prints'
