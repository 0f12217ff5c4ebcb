// Models of the vendor cells that the synthesis view uses; simulation only.
// Paths are relative to this file: read it with `-F`.
sim/CARRY8.sv
sim/DSP48E2.sv
sim/LUT6_2.sv
