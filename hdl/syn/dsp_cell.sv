// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// One DSP48E2 as a cell of mul_dsp: p = a b + c + (the cell before, 17 bits down), with
// the registers of operands, product and sum in use. Vendor cells, synthesis view only;
// hdl/syn/sim has models of what is used of them. Who uses it: hdl/syn/mul_dsp.sv.
module dsp_cell
  import arith_pkg::*;
#(
  parameter  bit          Chained = 1'b0,  // a comes from the cell before, and its sum is added
  parameter  bit          AddC    = 1'b0,
  parameter  int unsigned AStages = 1,     // 1 or 2 registers
  parameter  int unsigned BStages = 1,
  localparam int unsigned ABits   = 30,    // of the cell's ports
  localparam int unsigned BBits   = 18,
  localparam int unsigned PBits   = 48
) (
  input  logic             clk_i,
  input  logic [ DspA-1:0] a_i,        // unless Chained
  input  logic [ABits-1:0] a_chain_i,
  output logic [ABits-1:0] a_chain_o,
  input  logic [ DspB-1:0] b_i,
  input  logic [PBits-1:0] c_i,
  input  logic [PBits-1:0] p_chain_i,
  output logic [PBits-1:0] p_chain_o,
  output logic [PBits-1:0] p_o
);
  // Operand multiplexers (Xilinx UG579, OPMODE): W is C or 0, Z is PCIN down 17 bits or 0, X and Y are the product.
  localparam logic [8:0] OpMode = {AddC ? 2'b11 : 2'b00, Chained ? 3'b101 : 3'b000, 2'b01, 2'b01};

  DSP48E2 #(
    .A_INPUT      (Chained ? "CASCADE" : "DIRECT"),
    .B_INPUT      ("DIRECT"),
    .USE_MULT     ("MULTIPLY"),
    .ACASCREG     (AStages),
    .ADREG        (0),
    .ALUMODEREG   (0),
    .AREG         (AStages),
    .BCASCREG     (BStages),
    .BREG         (BStages),
    .CARRYINREG   (0),
    .CARRYINSELREG(0),
    .CREG         (1),
    .DREG         (0),
    .INMODEREG    (0),
    .MREG         (1),
    .OPMODEREG    (0),
    .PREG         (1)
  ) u_dsp (
    .CLK          (clk_i),
    .A            (ABits'(a_i)),
    .ACIN         (a_chain_i),
    .ACOUT        (a_chain_o),
    .B            (BBits'(b_i)),
    .BCIN         ('0),
    .C            (c_i),
    .D            ('0),
    .PCIN         (p_chain_i),
    .PCOUT        (p_chain_o),
    .P            (p_o),
    .ALUMODE      (4'b0000),
    .OPMODE       (OpMode),
    .INMODE       (5'b00000),
    .CARRYIN      (1'b0),
    .CARRYINSEL   (3'b000),
    .CARRYCASCIN  (1'b0),
    .MULTSIGNIN   (1'b0),
    .CEA1         (1'b1),
    .CEA2         (1'b1),
    .CEAD         (1'b0),
    .CEALUMODE    (1'b1),
    .CEB1         (1'b1),
    .CEB2         (1'b1),
    .CEC          (1'b1),
    .CECARRYIN    (1'b1),
    .CECTRL       (1'b1),
    .CED          (1'b0),
    .CEINMODE     (1'b1),
    .CEM          (1'b1),
    .CEP          (1'b1),
    .RSTA         (1'b0),
    .RSTALLCARRYIN(1'b0),
    .RSTALUMODE   (1'b0),
    .RSTB         (1'b0),
    .RSTC         (1'b0),
    .RSTCTRL      (1'b0),
    .RSTD         (1'b0),
    .RSTINMODE    (1'b0),
    .RSTM         (1'b0),
    .RSTP         (1'b0)
  );
endmodule
