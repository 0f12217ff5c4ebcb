// Assertions at every AXI4 port of the design (bind_axi.sv). Paths are relative to this file: read it with
// `-F`, behind the design's file list.
axi_read_rules.sv
axi_write_rules.sv
bind_axi.sv
