// Package and arithmetic blocks, synthesis view: leaves in vendor cells.
// Paths are relative to this file: read it with `-F`.
-F ../rtl/arith_blocks.f
add3.sv
dsp_cell.sv
mul_dsp.sv
