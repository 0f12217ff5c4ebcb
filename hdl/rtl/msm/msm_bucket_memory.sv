// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The sums of a bank's buckets: a memory with two ports, each reading or
// writing one bucket per cycle, read data one cycle later. The scheduler never
// lets both ports touch one bucket in one cycle. Maps to UltraRAM or block RAM.
// Used by: msm_datapath.
module msm_bucket_memory
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic    clk_i,
  input  access_t out_access_i,
  input  g1_t     out_data_i,
  output g1_t     out_data_o,
  input  access_t in_access_i,
  input  g1_t     in_data_i,
  output g1_t     in_data_o
);

  g1_t sum_q[BankBuckets];

  always_ff @(posedge clk_i) begin
    if (out_access_i.enable) begin
      if (out_access_i.write) sum_q[out_access_i.place] <= out_data_i;
      else out_data_o <= sum_q[out_access_i.place];
    end
    if (in_access_i.enable) begin
      if (in_access_i.write) sum_q[in_access_i.place] <= in_data_i;
      else in_data_o <= sum_q[in_access_i.place];
    end
  end

endmodule
