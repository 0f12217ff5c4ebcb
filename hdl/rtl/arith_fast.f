// Package and arithmetic blocks, fast view: products and sums of points by DPI on blst (hdl/sim/dpi),
// simulation only; single sums are the gateware's own.
// Paths are relative to this file: read it with `-F`.
pkg/carillon_pkg.sv
field/arith_pkg.sv
field/delay_line.sv
field/skew.sv
field/deskew.sv
field/add3.sv
field/skew_add3.sv
field/pipe_add.sv
field/pipe_add3.sv
field/fp_add.sv
field/fp_sub.sv
../sim/delay_ring.sv
../sim/fp_mul.sv
../sim/fr_mul.sv
../sim/wide_mul.sv
../sim/point_add.sv
