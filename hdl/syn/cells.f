// Models of the vendor cells that the synthesis view uses: for simulation, and for their ports.
// Paths are relative to this file: read it with `-F`.
sim/CARRY8.sv
sim/DSP48E2.sv
sim/LUT6_2.sv
