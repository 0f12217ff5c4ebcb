#!/usr/bin/env bash
# Builds the Debian packages of the commands `carillon` and `carillon-node`.
#
#   scripts/build-deb.sh               release build; the packages are left in $CARGO_TARGET_DIR/debian
#   scripts/build-deb.sh --dev OUT     from the development build that is there already, into the folder OUT
#
# Man pages, completion scripts and the Debian changelogs are made here, by the binaries that are packaged.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
tools=$(realpath "${CARILLON_TOOLS:-.tools}")
fail() { printf 'deb: error: %s\n' "$*" >&2; exit 1; }

export PATH="$tools/cargo/bin:$PATH"
command -v cargo-deb >/dev/null || fail "cargo-deb is missing; run 'scripts/setup.sh --deb'"
command -v dpkg-shlibdeps >/dev/null || fail "dpkg-shlibdeps is missing; run 'apt-get install dpkg-dev'"

options=(--no-build --offline)
if [ "${1:-}" = "--dev" ]; then
  out=$(realpath "$2")
  # cargo-deb packages release builds only, so the development build is shown to it as one.
  mkdir -p "$out/target/release"
  for program in carillon carillon-node; do
    [ -x "$target/debug/$program" ] || fail "$target/debug/$program is missing; build the workspace first"
    cp --reflink=auto "$target/debug/$program" "$out/target/release/"
  done
  target=$out/target
  options+=(--no-strip --output "$out/")
else
  cargo build --release -p carillon-cli --bin carillon
  cargo build --release -p carillon-node --bin carillon-node
fi
export CARGO_TARGET_DIR=$target
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}")

# What a package holds beside the binary; `assets` in the crate's Cargo.toml names it.
package() { # CRATE PROGRAM FOLDER
  local built=$target/release program=$2 made=$target/release/$3 version
  rm -rf "$made"
  mkdir -p "$made/man" "$made/completions"
  "$built/$program" man --out "$made/man"
  gzip -9n "$made"/man/*.1
  "$built/$program" completions bash >"$made/completions/$program"
  "$built/$program" completions zsh >"$made/completions/_$program"
  "$built/$program" completions fish >"$made/completions/$program.fish"
  version=$("$built/$program" --version)
  gzip -9n >"$made/changelog.Debian.gz" <<EOT
$program (${version#* }-1) unstable; urgency=medium

  * See /usr/share/doc/$program/CHANGELOG.md.

 -- Carillon contributors <carillon@localhost>  $date
EOT
  cargo deb -p "$1" "${options[@]}"
}
package carillon-cli carillon deb
package carillon-node carillon-node deb-node
