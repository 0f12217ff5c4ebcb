#!/usr/bin/env bash
# Fails when a committed generated file no longer follows from its source.
set -euo pipefail
cd "$(dirname "$0")"
python=${CARILLON_TOOLS:-../.tools}/py/bin/python
./generate-registers.sh --check
"$python" generate-ntt-constants.py --check
./build-contracts.sh --check
echo "generated files: fresh"
