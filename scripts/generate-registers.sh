#!/usr/bin/env bash
# Generates everything that follows from hdl/regs/card.rdl: the AXI4-Lite register
# block and the hash package (hdl/rtl/regs), the driver's constants
# (driver/src/registers.rs) and the page hdl/doc/registers.html.
#
#   scripts/generate-registers.sh          write the files
#   scripts/generate-registers.sh --check  fail if a committed file is stale
#
# Needs PeakRDL and rustfmt; scripts/setup.sh puts PeakRDL into .tools.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
python=${CARILLON_TOOLS:-$root/.tools}/py/bin/python
if ! "$python" -c 'import peakrdl_regblock' 2>/dev/null; then
  echo "generate-registers: PeakRDL is missing; run 'make setup'" >&2
  exit 2
fi

mode=${1:-write}
case $mode in
  write | --check) ;;
  *)
    echo "usage: scripts/generate-registers.sh [--check]" >&2
    exit 2
    ;;
esac

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$python" -m peakrdl regblock hdl/regs/card.rdl -o "$out" \
  --cpuif axi4-lite-flat --default-reset arst_n --addr-width 16 --type-style hier
"$python" hdl/regs/generate.py hdl/regs/card.rdl "$out/card_rdl_pkg.sv" "$out/registers.rs" "$out/registers.html"
rustfmt --edition 2024 --config-path rustfmt.toml "$out/registers.rs"

declare -A target=(
  [card_regs.sv]=hdl/rtl/regs/card_regs.sv
  [card_regs_pkg.sv]=hdl/rtl/regs/card_regs_pkg.sv
  [card_rdl_pkg.sv]=hdl/rtl/regs/card_rdl_pkg.sv
  [registers.rs]=driver/src/registers.rs
  [registers.html]=hdl/doc/registers.html
)
stale=0
for name in "${!target[@]}"; do
  file=${target[$name]}
  if [[ $mode == --check ]]; then
    if ! cmp -s "$out/$name" "$file"; then
      echo "generate-registers: $file does not follow from hdl/regs/card.rdl" >&2
      stale=1
    fi
  else
    mkdir -p "$(dirname "$file")"
    cp "$out/$name" "$file"
  fi
done
if ((stale)); then
  echo "generate-registers: run scripts/generate-registers.sh and commit the result" >&2
  exit 1
fi
