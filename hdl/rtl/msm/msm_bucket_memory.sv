// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The sums of a bank's buckets: a memory with two ports, each reading or
// writing one word per cycle, read data one cycle later. A bucket is a word in G1 and two in G2,
// of which the memory then holds half as many. The scheduler never
// lets both ports touch one bucket in one cycle. Maps to UltraRAM or block RAM.
// Used by: msm_datapath.
module msm_bucket_memory
  import carillon_pkg::*;
  import msm_pkg::*;
(
  input  logic    clk_i,
  input  logic    g2_i,
  input  access_t out_access_i,
  input  xyz_t    out_data_i,
  output xyz_t    out_data_o,
  input  access_t in_access_i,
  input  xyz_t    in_data_i,
  output xyz_t    in_data_o
);

  xyz_t sum_q[BankBuckets];

  function automatic cell_t word_of(cell_t place, logic half, logic g2);
    return g2 ? cell_t'({place, half}) : place;
  endfunction
  wire cell_t out_word = word_of(out_access_i.place, out_access_i.half, g2_i);
  wire cell_t in_word = word_of(in_access_i.place, in_access_i.half, g2_i);

  always_ff @(posedge clk_i) begin
    if (out_access_i.enable) begin
      if (out_access_i.write) sum_q[out_word] <= out_data_i;
      else out_data_o <= sum_q[out_word];
    end
    if (in_access_i.enable) begin
      if (in_access_i.write) sum_q[in_word] <= in_data_i;
      else in_data_o <= sum_q[in_word];
    end
  end

endmodule
