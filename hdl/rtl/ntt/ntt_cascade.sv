// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Transforms tiles of 2^rows rows and 2^columns columns, one beat a cycle: rows
// come in bit-reversed order and leave in the order of row_of(), columns stay
// side by side. As many stages as the pass has rows are used. One tile is always
// inside, so after the last beat of a pass as many empty ones push it out; for
// each beat that comes out one went in. See hdl/doc/ntt.md. Used by: ntt_engine.
module ntt_cascade
  import carillon_pkg::*;
  import ntt_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic  start_i,  // a pass begins: fill the tables
  input  logic  stop_i,   // take nothing more, forget the rest
  input  pass_t pass_i,   // constant from start_i on
  output logic  busy_o,   // tables are being filled

  input  logic  valid_i,
  input  pair_t pair_i,
  output logic  valid_o,
  output pair_t pair_o
);
  logic  valid[NttStages+1];
  pair_t pair [NttStages+1];
  row_t read, address;
  fr_t data, stored[NttStages];
  logic [NttStages-1:0] write;

  ntt_twiddles u_twiddles (
    .clk_i,
    .rst_ni,
    .start_i,
    .stop_i,
    .pass_i,
    .busy_o,
    .read_o   (read),
    .data_i   (stored),
    .write_o  (write),
    .address_o(address),
    .data_o   (data)
  );

  assign valid[0] = valid_i;
  assign pair[0]  = pair_i;

  for (genvar i = 0; i < NttStages; i++) begin : gen_stage
    ntt_stage #(
      .Index(i)
    ) u_stage (
      .clk_i,
      .rst_ni,
      .clear_i       (start_i),
      .columns_i     (pass_i.columns),
      .valid_i       (valid[i] && 32'(pass_i.rows) > i && !stop_i),
      .pair_i        (pair[i]),
      .valid_o       (valid[i+1]),
      .pair_o        (pair[i+1]),
      .fill_i        (busy_o),
      .fill_read_i   (read),
      .fill_data_o   (stored[i]),
      .fill_write_i  (write[i]),
      .fill_address_i(address),
      .fill_data_i   (data)
    );
  end

  // The last stage in use, and back to columns side by side.
  logic [$clog2(NttStages+1)-1:0] last;
  assign last = $bits(last)'(pass_i.rows);

  ntt_commutator #(
    .MaxLog2(ColumnsLog2 - 1)
  ) u_columns (
    .clk_i,
    .rst_ni,
    .clear_i (start_i),
    .bypass_i(pass_i.columns == '0),
    .log2_i  (row_beats(pass_i.columns)),
    .valid_i (valid[last] && !stop_i),
    .pair_i  (pair[last]),
    .valid_o,
    .pair_o
  );
endmodule
