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
  out=$(realpath "$2")
  [ -x "$target/debug/carillon" ] || fail "$target/debug/carillon is missing; build the workspace first"
  # cargo-deb packages release builds only, so the development build is shown to it as one.
  mkdir -p "$out/target/release"
  cp --reflink=auto "$target/debug/carillon" "$out/target/release/"
  target=$out/target
  options+=(--no-strip --output "$out/")
else
  cargo build --release -p carillon-runtime --bin carillon
fi
export CARGO_TARGET_DIR=$target

# ---- what the package holds beside the binary; `assets` in host-runtime/Cargo.toml names it ----
built=$target/release
made=$built/deb
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
"$built/carillon" man --out "$made/man"
gzip -9n "$made"/man/*.1
"$built/carillon" completions bash >"$made/completions/carillon"
"$built/carillon" completions zsh >"$made/completions/_carillon"
"$built/carillon" completions fish >"$made/completions/carillon.fish"
version=$("$built/carillon" --version)
version=${version#* }
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}")
gzip -9n >"$made/changelog.Debian.gz" <<EOF
carillon ($version-1) unstable; urgency=medium

  * See /usr/share/doc/carillon/CHANGELOG.md.

 -- Carillon contributors <carillon@localhost>  $date
EOF

cargo deb "${options[@]}"
