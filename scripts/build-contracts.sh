#!/usr/bin/env bash
# Compiles node-adapter/contracts with the pinned solc into node-adapter/contracts/artifacts.
#   scripts/build-contracts.sh           write the artifacts
#   scripts/build-contracts.sh --check   fail unless the committed artifacts are exactly what the sources compile to
# Needs node and solc (`make setup` installs solc under .tools/node; CARILLON_TOOLS names another tools folder).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if ! command -v node >/dev/null; then
    echo "build-contracts: node is not installed; the contracts need Node.js 18 or newer and solc (run: make setup)" >&2
    exit 2
fi
exec node "$root/node-adapter/contracts/build.mjs" "${CARILLON_TOOLS:-$root/.tools}/node/node_modules" "$@"
