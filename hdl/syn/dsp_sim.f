// For simulation: package and arithmetic blocks with the multipliers in DSP48E2 cells. The adders are
// behavioural (20,000 look-up tables are slow to simulate); hdl/tests compares their cells alone.
// Paths are relative to this file: read it with `-F`.
-F ../rtl/arith_blocks.f
../rtl/field/add3.sv
dsp_cell.sv
mul_dsp.sv
sim/DSP48E2.sv
