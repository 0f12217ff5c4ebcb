#!/usr/bin/env bash
# What third-party code may be (deny.toml), checked by cargo-deny, which is built into the tools folder if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARILLON_TOOLS:-.tools}
if ! cargo deny --version >/dev/null 2>&1; then
  [ -x "$tools/bin/cargo-deny" ] || cargo install --locked --debug --root "$tools" cargo-deny
  PATH=$(realpath "$tools")/bin:$PATH
fi
cargo deny --locked check licenses bans sources
# The database is a repository of its own; without it the rest still holds.
if cargo deny fetch db >/dev/null 2>&1; then
  cargo deny --locked check advisories
else
  echo 'deny: SKIPPED, advisories: their database (rustsec/advisory-db) cannot be fetched from here. With a network: make deny'
fi
