// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Writes the total to card memory as contract.md lays it out: X, Y, Z, 48 bytes
// each, padded with zeros to three beats; in G2 c0 and c1 of each, five beats. Used by: msm_engine.
module msm_result
  import carillon_pkg::*;
#(
  parameter axi_id_t IdValue = MsmIdBase
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic        g2_i,
  input  logic        start_i,        // pulse
  input  addr_t       addr_i,
  input  xyz_t  [1:0] total_i,        // words, held
  input  logic        total_valid_i,  // else the result is infinity
  input  logic        flush_i,
  output logic        busy_o,
  output logic        error_o,

  output axi_ax_t aw_o,
  output logic    aw_valid_o,
  input  logic    aw_ready_i,
  output axi_w_t  w_o,
  output logic    w_valid_o,
  input  logic    w_ready_i,
  input  axi_b_t  b_i,
  input  logic    b_valid_i,
  output logic    b_ready_o
);

  localparam int unsigned Beats = 3;
  localparam int unsigned G2Beats = 5;
  localparam int unsigned FpSlot = 384;
  localparam xyz_t Infinity = '{x: '0, y: FpOne, z: '0};

  logic [        2:0]               index_q;
  logic                             ready;
  xyz_t [        1:0]               point;
  logic [G2Beats-1:0][BeatBits-1:0] beats;

  function automatic logic [2*FpSlot-1:0] both(fp_t c1, fp_t c0);
    return {FpSlot'(c1), FpSlot'(c0)};
  endfunction

  always_comb begin
    point = total_valid_i ? total_i : {xyz_t'('0), Infinity};
    if (g2_i) begin
      beats = (G2Beats * BeatBits)'({both(point[1].z, point[0].z), both(point[1].y, point[0].y), both(point[1].x, point[0].x)});
    end else begin
      beats = (G2Beats * BeatBits)'({FpSlot'(point[0].z), FpSlot'(point[0].y), FpSlot'(point[0].x)});
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) index_q <= '0;
    else if (start_i) index_q <= '0;
    else if (ready) index_q <= index_q + 1'b1;
  end

  stream_writer #(
    .IdValue (IdValue),
    .FifoLog2(3),
    .MaxBurst(8)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i,
    .block_beats_i (g2_i ? 32'(G2Beats) : 32'(Beats)),
    .stride_beats_i('0),
    .blocks_i      (32'd1),
    .flush_i,
    .busy_o,
    .error_o,
    .valid_i       (1'b1),
    .ready_o       (ready),
    .data_i        (beats[index_q]),
    .aw_o,
    .aw_valid_o,
    .aw_ready_i,
    .w_o,
    .w_valid_o,
    .w_ready_i,
    .b_i,
    .b_valid_i,
    .b_ready_o
  );

endmodule
