#!/usr/bin/env bash
# Builds the Debian package of the command `carillon`.
#
#   scripts/build-deb.sh               release build; the package is left in $CARGO_TARGET_DIR/debian
#   scripts/build-deb.sh --dev OUT     from the development build that is there already, into the folder OUT
#
# Man pages, completion scripts and the Debian changelog are made here, by the binary that is packaged.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
tools=$(realpath "${CARILLON_TOOLS:-.tools}")
fail() { printf 'deb: error: %s\n' "$*" >&2; exit 1; }

export PATH="$tools/cargo/bin:$PATH"
command -v cargo-deb >/dev/null || fail "cargo-deb is missing; run 'scripts/setup.sh --deb'"
command -v dpkg-shlibdeps >/dev/null || fail "dpkg-shlibdeps is missing; run 'apt-get install dpkg-dev'"

options=(-p carillon-runtime --no-build --offline)
if [ "${1:-}" = "--dev" ]; then
  out=$2
  built=$target/debug
  options+=(--profile dev --no-strip --output "$out/")
  [ -x "$built/carillon" ] || fail "$built/carillon is missing; build the workspace first"
else
  built=$target/release
  cargo build --release -p carillon-runtime --bin carillon
fi

# ---- what the package holds beside the binary; `assets` in host-runtime/Cargo.toml names it ----
made=target/deb
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
"$built/carillon" man --out "$made/man"
"$built/carillon" completions bash >"$made/completions/carillon"
"$built/carillon" completions zsh >"$made/completions/_carillon"
"$built/carillon" completions fish >"$made/completions/carillon.fish"
version=$("$built/carillon" --version)
version=${version#* }
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}")
cat >"$made/changelog" <<EOF
carillon ($version-1) unstable; urgency=medium

  * See /usr/share/doc/carillon/CHANGELOG.md.

 -- Carillon contributors <carillon@localhost>  $date
EOF

cargo deb "${options[@]}"
