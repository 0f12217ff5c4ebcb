// For simulation: the leaves in vendor cells, with models of the cells.
// Paths are relative to this file: read it with `-F`.
../rtl/pkg/carillon_pkg.sv
../rtl/field/arith_pkg.sv
../rtl/field/delay_line.sv
add3.sv
dsp_cell.sv
mul_dsp.sv
-F cells.f
