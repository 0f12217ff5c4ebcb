// Package and arithmetic blocks but for the leaves, add3 and mul_dsp, of which there are two views.
// Paths are relative to this file: read it with `-F`.
pkg/carillon_pkg.sv
field/arith_pkg.sv
field/digits_pkg.sv
field/delay_line.sv
field/valid_line.sv
field/skew.sv
field/deskew.sv
field/skew_shift.sv
field/skew_add3.sv
field/pipe_add.sv
field/pipe_add3.sv
field/skew_mul.sv
field/mul_karatsuba.sv
field/mul_const.sv
field/mont_mul.sv
field/fp_mul.sv
field/fr_mul.sv
field/wide_mul.sv
field/fp_add.sv
field/fp_sub.sv
field/fp_times12.sv
curve/fp2_join.sv
curve/point_add.sv
