// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The last step of mont_mul at full width, in both fields: for whatever the products
// in front of it leave as u, if u is below twice the modulus, then the result is u or
// u minus the modulus and below the modulus. That u is below it is lemmas.py's.
// `Scalar` chooses the field. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module mont_mul_props
  import carillon_pkg::*;
#(
  parameter  int unsigned Scalar = 0,                        // 0: base field, 1: scalar field
  localparam int unsigned Bits   = Scalar ? FrBits : FpBits
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            valid_i,
  input logic [Bits-1:0] a_i,
  input logic [Bits-1:0] b_i
);

  localparam int unsigned Guard = 8;  // bits below u's point
  localparam int unsigned Frame = Guard + Bits + 1;
  localparam logic [Bits-1:0] Modulus = Scalar ? Bits'(FrModulus) : Bits'(FpModulus);
  // Chunks of u arrive one after the other; then the choice.
  localparam int unsigned Latency = arith_pkg::add_stages(Frame) + 2;
  typedef logic [Bits:0] wide_t;

  logic             valid;
  logic [ Bits-1:0] p;
  logic [Frame-1:0] u_whole;  // with the bits below the point
  logic [ Bits-1:0] chosen;

  if (Scalar != 0) begin : gen_fr
    fr_mul u_dut (
      .clk_i,
      .rst_ni,
      .valid_i,
      .a_i,
      .b_i,
      .valid_o(valid),
      .p_o    (p)
    );
    assign u_whole = u_dut.u_mul.u_plain;
    assign chosen = u_dut.u_mul.chosen_q;
  end else begin : gen_fp
    fp_mul u_dut (
      .clk_i,
      .rst_ni,
      .valid_i,
      .a_i,
      .b_i,
      .valid_o(valid),
      .p_o    (p)
    );
    assign u_whole = u_dut.u_mul.u_plain;
    assign chosen = u_dut.u_mul.chosen_q;
  end

  // The chunks have come together.
  logic       [Latency-1:0] filled_q = '0;
  wide_t                    u_q;
  wire wide_t               u = u_whole[Frame-1:Guard];
  always_ff @(posedge clk_i) begin
    filled_q <= Latency'({filled_q, 1'b1});
    u_q <= u;
  end

  always_comb begin
    e_below_twice : assume (!filled_q[Latency-2] || u < (wide_t'(Modulus) << 1));
    if (filled_q[Latency-1]) begin
      a_range : assert (chosen < Modulus);
      a_value : assert (wide_t'(chosen) == ((u_q < wide_t'(Modulus)) ? u_q : u_q - wide_t'(Modulus)));
      c_reduced : cover (u_q > wide_t'(Modulus));
      c_kept : cover (u_q < wide_t'(Modulus) && u_q != '0);
    end
  end

endmodule
