// Package and arithmetic blocks, structural view: the gateware itself.
// Paths are relative to this file: read it with `-F`.
pkg/carillon_pkg.sv
field/arith_pkg.sv
field/delay_line.sv
field/valid_line.sv
field/pipe_add.sv
field/pipe_add3.sv
field/mul_dsp.sv
field/mul_karatsuba.sv
field/mul_low.sv
field/mont_mul.sv
field/fp_mul.sv
field/fr_mul.sv
field/wide_mul.sv
field/fp_add.sv
field/fp_sub.sv
field/fp_times12.sv
g1/g1_add.sv
