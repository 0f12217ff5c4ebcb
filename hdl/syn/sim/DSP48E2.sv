// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Simulation model of what hdl/syn uses of a DSP48E2 (Xilinx UG579): unsigned operands
// of 26 and 17 bits, registers of A, B, C, M and P, the cascades of A and P, addition of
// product, C and the shifted cascade. Anything else is refused. Not for synthesis.
module DSP48E2 #(
  parameter              A_INPUT       = "DIRECT",
  parameter              B_INPUT       = "DIRECT",
  parameter              USE_MULT      = "MULTIPLY",
  parameter int unsigned ACASCREG      = 1,
  parameter int unsigned ADREG         = 1,
  parameter int unsigned ALUMODEREG    = 1,
  parameter int unsigned AREG          = 1,
  parameter int unsigned BCASCREG      = 1,
  parameter int unsigned BREG          = 1,
  parameter int unsigned CARRYINREG    = 1,
  parameter int unsigned CARRYINSELREG = 1,
  parameter int unsigned CREG          = 1,
  parameter int unsigned DREG          = 1,
  parameter int unsigned INMODEREG     = 1,
  parameter int unsigned MREG          = 1,
  parameter int unsigned OPMODEREG     = 1,
  parameter int unsigned PREG          = 1
) (
  input  logic        CLK,
  input  logic [29:0] A,
  input  logic [29:0] ACIN,
  output logic [29:0] ACOUT,
  input  logic [17:0] B,
  input  logic [17:0] BCIN,
  input  logic [47:0] C,
  input  logic [26:0] D,
  input  logic [47:0] PCIN,
  output logic [47:0] PCOUT,
  output logic [47:0] P,
  input  logic [ 3:0] ALUMODE,
  input  logic [ 8:0] OPMODE,
  input  logic [ 4:0] INMODE,
  input  logic        CARRYIN,
  input  logic [ 2:0] CARRYINSEL,
  input  logic        CARRYCASCIN,
  input  logic        MULTSIGNIN,
  input  logic        CEA1,
  input  logic        CEA2,
  input  logic        CEAD,
  input  logic        CEALUMODE,
  input  logic        CEB1,
  input  logic        CEB2,
  input  logic        CEC,
  input  logic        CECARRYIN,
  input  logic        CECTRL,
  input  logic        CED,
  input  logic        CEINMODE,
  input  logic        CEM,
  input  logic        CEP,
  input  logic        RSTA,
  input  logic        RSTALLCARRYIN,
  input  logic        RSTALUMODE,
  input  logic        RSTB,
  input  logic        RSTC,
  input  logic        RSTCTRL,
  input  logic        RSTD,
  input  logic        RSTINMODE,
  input  logic        RSTM,
  input  logic        RSTP
);
  if (B_INPUT != "DIRECT" || USE_MULT != "MULTIPLY" || CREG != 1 || MREG != 1 || PREG != 1
      || AREG < 1 || AREG > 2 || BREG < 1 || BREG > 2 || ACASCREG != AREG || BCASCREG != BREG
      || ADREG != 0 || ALUMODEREG != 0 || CARRYINREG != 0 || CARRYINSELREG != 0 || DREG != 0
      || INMODEREG != 0 || OPMODEREG != 0) begin : g_check
    $error("this model of a DSP48E2 does not know these parameters");
  end

  // ---- Operands ----
  logic [29:0] a_in;
  logic [29:0] a1_q;
  logic [29:0] a2_q;
  logic [17:0] b1_q;
  logic [17:0] b2_q;
  logic [47:0] c_q;
  assign a_in  = (A_INPUT == "CASCADE") ? ACIN : A;
  assign ACOUT = a2_q;
  always_ff @(posedge CLK) begin
    a1_q <= a_in;
    a2_q <= (AREG == 2) ? a1_q : a_in;
    b1_q <= B;
    b2_q <= (BREG == 2) ? b1_q : B;
    c_q  <= C;
  end

  // ---- Product and sum ----
  logic signed [44:0] m_q;
  logic        [47:0] w;
  logic        [47:0] xy;
  logic        [47:0] z;
  always_comb begin
    unique case (OPMODE[8:7])
      2'b11:   w = c_q;
      default: w = '0;
    endcase
    unique case (OPMODE[6:4])
      3'b101:  z = {{17{PCIN[47]}}, PCIN[47:17]};
      default: z = '0;
    endcase
    xy = (OPMODE[3:0] == 4'b0101) ? {{3{m_q[44]}}, m_q} : '0;
  end
  always_ff @(posedge CLK) begin
    m_q <= $signed(a2_q[26:0]) * $signed(b2_q);
    P   <= w + xy + z;
  end
  assign PCOUT = P;
endmodule
