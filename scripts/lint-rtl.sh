#!/usr/bin/env bash
# Checks the gateware: verible formatting, Verilator's lint of both arithmetic views, and a strict elaboration by slang.
#
#   scripts/lint-rtl.sh         check
#   scripts/lint-rtl.sh --fix   reformat in place
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
py=$(cd "${CARILLON_TOOLS:-.tools}/py" && pwd)

# What is written by hand.
mapfile -t sources < <(git ls-files -co --exclude-standard 'hdl/*.sv' | grep -v -e '^hdl/rtl/regs/' -e _constants_pkg)
format=("$py/bin/verible-verilog-format" --column_limit 140 --wrap_spaces 2 --failsafe_success=false
  --{formal_parameters,port_declarations,named_port,named_parameter}_indentation=indent
  --{port_declarations,formal_parameters,struct_union_members,module_net_variable,case_items}_alignment=align
  --{assignment_statement,named_port,named_parameter,enum_assignment_statement}_alignment=preserve)
if [ "${1:-}" = "--fix" ]; then
  "${format[@]}" --inplace "${sources[@]}"
  exit 0
fi
if ! "${format[@]}" --verify --inplace "${sources[@]}" >/dev/null; then
  "${format[@]}" --verify --inplace "${sources[@]}" 2>&1 | grep -i 'needs formatting' >&2 || true
  echo "lint-rtl: run 'make fmt' to format these files" >&2
  exit 1
fi

export VERILATOR_ROOT
VERILATOR_ROOT=$("$py/bin/python" -c 'import pathlib, verilator; print(pathlib.Path(verilator.__file__).parent)')
lint=("$VERILATOR_ROOT/bin/verilator_bin" --lint-only --quiet -Wall hdl/lint/waivers.vlt --top-module carillon_card)
for view in fast structural; do
  "${lint[@]}" -F "hdl/rtl/card_$view.f"
done
# The full-size configuration, which no test runs.
"${lint[@]}" -DCARILLON_CONFIG_U250 -F hdl/rtl/card_structural.f
if ! report=$("$py/bin/python" scripts/elaborate-rtl.py hdl/rtl/card_fast.f hdl/rtl/card_structural.f 2>&1); then
  printf '%s\n' "$report" >&2
  exit 1
fi
echo "gateware: formatted, lint clean, elaborates"
