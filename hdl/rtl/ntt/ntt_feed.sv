// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Lets beats into the cascade: those of the pass, then as many empty ones as it
// holds. The pipelines behind it never stop, so a beat that pushes one out enters
// only when that one has a place in the FIFO at the end. Checks that what was
// read is below r. Used by: ntt_engine.
module ntt_feed
  import carillon_pkg::*;
  import fr_arith_pkg::*;
  import ntt_pkg::*;
#(
  parameter int unsigned PlacesLog2 = 9  // log2 of the places at the end
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic  start_i,  // a pass begins
  input  logic  stop_i,   // let nothing more in
  input  logic  open_i,   // tables are filled
  input  pass_t pass_i,   // constant from start_i on
  output logic  bad_o,    // an element that was let in is not below r

  input  logic  valid_i,
  output logic  ready_o,
  input  beat_t beat_i,

  output logic  valid_o,
  output pair_t pair_o,
  input  logic  left_i    // a beat has left the FIFO at the end
);
  index_t pushed_q, real_beats, held;
  logic      [ PlacesLog2:0] owed_q;  // beats pushed out that have not left
  fr_image_t [FrPerBeat-1:0] image;
  wire                       rest = pushed_q >= real_beats;  // only empty beats are to come
  wire                       pushes = pushed_q >= held;  // what enters pushes one out
  logic                      go;

  // A pass reads every beat once; the cascade holds a tile.
  assign real_beats = (pass_i.log2n == '0) ? 32'd1 : 32'd1 << (pass_i.log2n - 1'b1);
  assign held = (pass_i.columns == '0) ? '0 : 32'd1 << (pass_i.rows + pass_i.columns - 1'b1);
  assign go = open_i && !stop_i && (!pushes || !owed_q[PlacesLog2]);
  assign ready_o = go && !rest;
  assign valid_o = go && (rest ? pushed_q < real_beats + held : valid_i);

  assign image = beat_i;
  // A transform of one element has only the first half of a beat.
  wire single = pass_i.log2n == '0;
  assign pair_o = '{odd: single ? '0 : image[1][FrBits-1:0], even: image[0][FrBits-1:0]};

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      pushed_q <= '0;
      owed_q   <= '0;
      bad_o    <= 1'b0;
    end else begin
      bad_o <= valid_o && !rest && (!fr_is_canonical(image[0]) || (!single && !fr_is_canonical(image[1])));
      if (start_i) begin
        pushed_q <= '0;
        owed_q   <= '0;
      end else begin
        pushed_q <= pushed_q + 32'(valid_o);
        owed_q   <= owed_q + (PlacesLog2 + 1)'(valid_o && pushes) - (PlacesLog2 + 1)'(left_i);
      end
    end
  end
  wire unused = &{1'b0, pass_i};
endmodule
