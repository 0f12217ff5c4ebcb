// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Makes every twiddle of a transform in order, one per cycle, with one
// multiplier and no tables. Started once per command by ntt_control; ntt_datapath
// takes the twiddles.
//
// A pass with butterfly distance s = 2^log2s over m = n / s needs
//   t_p = g^s w_m^p,  p = 0 .. m/2 - 1     (g = 7 on the coset, else 1; reciprocals for the inverse)
// Each follows from an earlier one by a constant that is itself a root of unity
// of a power-of-two order:
//   t_0 = g^s,  t_p = t_{p - h} w_m^h = t_{p - h} w_{m/h}
// where h is the highest power of two <= p, at most 2^StepLog2. The first
// 2^StepLog2 twiddles come by doubling; from there each multiplication is
// 2^StepLog2 apart from its operand, more than the pipeline's latency, so the
// multiplier never waits for itself.
//
// The generator runs ahead of the butterflies by up to RingEntries twiddles and
// goes on into the next pass, so that doubling overlaps with butterflies.
module ntt_twiddle
  import carillon_pkg::*;
  import ntt_pkg::*;
  import ntt_constants_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  // All passes of one transform: s = 1, 2, .., n/2 (inverse), n/2, .., 1 (forward).
  input  logic  start_i,
  input  log2_t log2n_i,    // 0 to TwoAdicity; 0 has no twiddles
  input  logic  inverse_i,  // held until busy_o falls, as is coset_i
  input  logic  coset_i,
  input  logic  stop_i,     // issue nothing more; what is left is dropped at the next start
  output logic  busy_o,

  output logic valid_o,
  input  logic ready_i,
  output fr_t  twiddle_o
);
  // Issue register and product: cycles from reading an operand to writing the result.
  localparam int unsigned Latency = FrMulLatency + 1;
  localparam int unsigned StepLog2 = $clog2(Latency + 1);
  localparam int unsigned RingLog2 = StepLog2 + 1;
  localparam int unsigned PointerBits = RingLog2 + 1;
  localparam int unsigned IndexBits = TwoAdicity - 1;

  typedef logic [PointerBits-1:0] pointer_t;
  localparam pointer_t RingEntries = pointer_t'(1 << RingLog2);
  localparam log2_t TopLevel = log2_t'(StepLog2);

  fr_t ring_q[1 << RingLog2];

  // Absolute positions in the ring: next to issue, to be written, to be taken.
  pointer_t issue_q, done_q, take_q;

  logic                           active_q;
  log2_t                          log2m_q;
  logic  [$clog2(TwoAdicity)-1:0] log2s;
  logic [IndexBits-1:0] index_q, next_index;
  logic  first;  // t_0 of a pass
  log2_t level_q;  // log2 of h
  logic last_of_pass, last_pass;

  assign log2s        = $bits(log2s)'(log2n_i - log2m_q);
  assign first        = (index_q == '0);
  assign next_index   = index_q + 1'b1;
  assign last_of_pass = (next_index == (IndexBits'(1) << (log2m_q - 1'b1)));
  assign last_pass    = inverse_i ? (log2m_q == log2_t'(1)) : (log2m_q == log2n_i);

  // ---- Issue ----
  pointer_t reach, in_flight;
  logic issue, operand_ready, has_space;

  assign reach         = pointer_t'(1) << level_q;
  assign in_flight     = issue_q - done_q;
  assign operand_ready = first || (in_flight < reach);
  assign has_space          = (issue_q - take_q) < RingEntries;
  assign issue         = active_q && !stop_i && operand_ready && has_space;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      issue_q  <= '0;
      log2m_q  <= '0;
      index_q  <= '0;
      level_q  <= '0;
    end else if (start_i) begin
      active_q <= (log2n_i != '0);
      issue_q  <= '0;
      log2m_q  <= inverse_i ? log2n_i : log2_t'(1);
      index_q  <= '0;
      level_q  <= '0;
    end else if (stop_i) begin
      active_q <= 1'b0;
    end else if (issue) begin
      issue_q <= issue_q + 1'b1;
      if (last_of_pass) begin
        active_q <= !last_pass;
        log2m_q  <= inverse_i ? log2m_q - 1'b1 : log2m_q + 1'b1;
        index_q  <= '0;
        level_q  <= '0;
      end else begin
        index_q <= next_index;
        // h doubles as the index reaches the next power of two.
        if (level_q != TopLevel && next_index == (IndexBits'(2) << level_q)) level_q <= level_q + 1'b1;
      end
    end
  end

  // ---- Product ----
  logic operand_valid_q, product_valid;
  fr_t operand_q, factor_q, product;
  logic  [RingLog2-1:0] source;
  log2_t                factor_log2;

  assign source      = RingLog2'(issue_q - reach);
  assign factor_log2 = log2m_q - level_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) operand_valid_q <= 1'b0;
    else operand_valid_q <= issue;
  end

  always_ff @(posedge clk_i) begin
    if (issue) begin
      if (first) begin
        // The seed passes through the multiplier too, so that the ring is written in order.
        operand_q <= !coset_i ? FrOne : inverse_i ? ShiftInverse[log2s] : Shift[log2s];
        factor_q  <= FrOne;
      end else begin
        operand_q <= ring_q[source];
        factor_q  <= inverse_i ? RootInverse[factor_log2] : Root[factor_log2];
      end
    end
  end

  fr_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i(operand_valid_q),
    .a_i    (operand_q),
    .b_i    (factor_q),
    .valid_o(product_valid),
    .p_o    (product)
  );

  // ---- Ring ----
  always_ff @(posedge clk_i) begin
    if (product_valid) ring_q[done_q[RingLog2-1:0]] <= product;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      done_q <= '0;
      take_q <= '0;
    end else if (start_i) begin
      done_q <= '0;
      take_q <= '0;
    end else begin
      if (product_valid) done_q <= done_q + 1'b1;
      if (valid_o && ready_i) take_q <= take_q + 1'b1;
    end
  end

  assign busy_o    = active_q || (in_flight != '0);
  assign valid_o   = (done_q != take_q);
  assign twiddle_o = ring_q[take_q[RingLog2-1:0]];
endmodule
