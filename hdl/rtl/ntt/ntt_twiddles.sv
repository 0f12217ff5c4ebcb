// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Fills the tables of the stages before a pass. Stage s, counted from 1, needs
//   t_p = g w^p,  p = 0 .. 2^(s-1) - 1,  w of order 2^s
// with g = shift^(2^(remaining - s)) for a forward transform on a coset, else 1. The
// shift is 7, or the root of order 2n.
// All tables grow together by doubling: with p < 2^k
//   t_(2^k + p) = t_p w^(2^k),  and w^(2^k) is the root of order 2^(s-k)
// so one multiplier and the constants of ntt_constants_pkg are enough. Between
// two doublings the pipeline runs empty: the next reads what this one wrote.
// Used by: ntt_cascade.
module ntt_twiddles
  import carillon_pkg::*;
  import ntt_pkg::*;
  import ntt_constants_pkg::*;
(
  input  logic  clk_i,
  input  logic  rst_ni,
  input  logic  start_i,
  input  logic  stop_i,
  input  pass_t pass_i,   // constant while busy_o is set
  output logic  busy_o,

  // Tables of the stages
  output row_t                 read_o,
  input  fr_t                  data_i   [NttStages],
  output logic [NttStages-1:0] write_o,
  output row_t                 address_o,
  output fr_t                  data_o
);
  // A place in the order of filling: doubling, entry, stage.
  typedef struct packed {
    log2_t level;
    row_t  entry;
    log2_t stage;
  } place_t;

  typedef enum logic [1:0] {
    Idle,
    Seed,     // entry 0 of each stage
    Double,   // one doubling is being issued
    Settle    // its last products are on their way
  } state_e;

  state_e state_q;
  place_t issue_q, done_q;
  log2_t       seed_q;
  logic  [6:0] in_flight_q;
  logic        inverse;
  assign inverse = pass_i.inverse;

  // The next place in a doubling; the last one of it is told by ends().
  function automatic place_t advance(place_t at, log2_t rows);
    advance = at;
    if (at.stage != rows) advance.stage = at.stage + 1'b1;
    else begin
      advance.stage = at.level + log2_t'(2);
      advance.entry = at.entry + 1'b1;
    end
  endfunction
  function automatic logic ends(place_t at, log2_t rows);
    return at.stage == rows && 32'(at.entry) == (32'd1 << at.level) - 32'd1;
  endfunction

  wire last_level = issue_q.level + log2_t'(2) >= pass_i.rows;
  logic issue, product_valid, operand_valid_q;
  logic [$clog2(NttStages)-1:0] stage_q;
  fr_t factor_q, product;
  log2_t order;

  assign issue = state_q == Double;
  assign order = issue_q.stage - issue_q.level;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Idle;
      issue_q <= '0;
      done_q <= '0;
      seed_q <= '0;
      in_flight_q <= '0;
      operand_valid_q <= 1'b0;
    end else begin
      operand_valid_q <= issue && !stop_i;
      in_flight_q <= in_flight_q + 7'(issue && !stop_i) - 7'(product_valid);
      if (product_valid) done_q <= advance(done_q, pass_i.rows);
      unique case (state_q)
        Idle: begin
          if (start_i && pass_i.rows != '0) begin
            state_q <= Seed;
            seed_q  <= log2_t'(1);
          end
        end
        Seed: begin
          seed_q <= seed_q + 1'b1;
          if (seed_q == pass_i.rows) begin
            state_q <= (pass_i.rows == log2_t'(1)) ? Idle : Double;
            issue_q <= '{level: '0, entry: '0, stage: log2_t'(2)};
            done_q  <= '{level: '0, entry: '0, stage: log2_t'(2)};
          end
        end
        Double: begin
          issue_q <= advance(issue_q, pass_i.rows);
          if (ends(issue_q, pass_i.rows)) state_q <= Settle;
        end
        default: begin
          if (in_flight_q == '0) begin
            state_q <= last_level ? Idle : Double;
            issue_q <= '{level: issue_q.level + 1'b1, entry: '0, stage: issue_q.level + log2_t'(3)};
            done_q  <= '{level: issue_q.level + 1'b1, entry: '0, stage: issue_q.level + log2_t'(3)};
          end
        end
      endcase
      if (stop_i) state_q <= Idle;
    end
  end
  assign busy_o = state_q != Idle || in_flight_q != '0;

  // ---- Product ----
  assign read_o = issue_q.entry;

  always_ff @(posedge clk_i) begin
    if (issue) begin
      stage_q  <= $bits(stage_q)'(issue_q.stage - 1'b1);
      factor_q <= inverse ? RootInverse[order] : Root[order];
    end
  end

  fr_mul u_mul (
    .clk_i,
    .rst_ni,
    .valid_i(operand_valid_q),
    .a_i    (data_i[stage_q]),
    .b_i    (factor_q),
    .valid_o(product_valid),
    .p_o    (product)
  );

  // ---- Writing ----
  wire        seeding = state_q == Seed;
  wire log2_t power = pass_i.remaining - seed_q;
  wire log2_t stage = seeding ? seed_q : done_q.stage;

  always_comb begin
    write_o = '0;
    for (int unsigned i = 0; i < NttStages; i++) begin
      write_o[i] = (seeding || product_valid) && stage == log2_t'(i + 1);
    end
    address_o = seeding ? '0 : row_t'(32'd1 << done_q.level) + done_q.entry;
    if (!seeding) data_o = product;
    else if (pass_i.coset && !inverse) data_o = Shift[power[4:0]];
    else if (pass_i.odd && !inverse) data_o = Root[pass_i.log2n+1'b1-power];
    else data_o = FrOne;
  end

  wire unused = &{1'b0, pass_i, power[Log2Bits-1]};
endmodule
