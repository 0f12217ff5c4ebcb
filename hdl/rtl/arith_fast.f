// Package and arithmetic blocks, fast view: DPI on blst (hdl/sim/dpi), simulation only.
// Paths are relative to this file: read it with `-F`.
pkg/carillon_pkg.sv
../sim/delay_ring.sv
../sim/fp_mul.sv
../sim/fr_mul.sv
../sim/wide_mul.sv
../sim/g1_add.sv
