// Package and arithmetic blocks, structural view: the gateware itself, with behavioural leaves.
// Paths are relative to this file: read it with `-F`.
-F arith_blocks.f
field/add3.sv
field/mul_dsp.sv
