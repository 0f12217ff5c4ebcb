// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Where buckets lie (msm_pkg: bank_of, place_of), for every window size: in the bank's
// memory, no two buckets of the windows in flight at one place, and a place tells its
// window. Sizes as they are built. Used by: scripts/formal.sh; explained in hdl/formal/README.md.
module msm_places_props
  import carillon_pkg::*;
  import msm_pkg::*;
#(
  parameter bit G2 = 1'b0  // buckets of two words: half as many places
) (
  input window_bits_t bits_i,
  input win_t         win_i,
  input win_t         other_win_i,
  input bucket_t      bucket_i,
  input bucket_t      other_bucket_i
);

  localparam int unsigned Places = G2 ? BankBuckets / 2 : BankBuckets;

  // Windows in flight in a unit, by window size.
  typedef logic [31:0] number_t;
  number_t windows;
  always_comb begin
    windows = '0;
    for (int unsigned c = MsmMinWindowBits; c <= MsmMaxWindowBits; c++) begin
      if (bits_i == window_bits_t'(c)) windows = number_t'(group_size(c, G2) / MsmAdders);
    end
  end

  wire bank_t bank = bank_of(win_i, bucket_i);
  wire bank_t other_bank = bank_of(other_win_i, other_bucket_i);
  wire cell_t place = place_of(win_i, bucket_i, bits_i);
  wire cell_t other_place = place_of(other_win_i, other_bucket_i, bits_i);

  always_comb begin
    e_bits : assume (32'(bits_i) >= MsmMinWindowBits && 32'(bits_i) <= MsmMaxWindowBits);
    e_windows : assume (32'(win_i) < windows && 32'(other_win_i) < windows);
    e_buckets : assume ((number_t'(bucket_i) >> (bits_i - 1'b1)) == '0 && (number_t'(other_bucket_i) >> (bits_i - 1'b1)) == '0);
    a_in_memory : assert (32'(place) < Places);
    a_own_place : assert (bank != other_bank || place != other_place || (win_i == other_win_i && bucket_i == other_bucket_i));
    a_tells_its_window : assert ((place >> (bits_i - window_bits_t'(MsmMinWindowBits))) == cell_t'(win_i));
    c_neighbours : cover (place == other_place && bank != other_bank && win_i == other_win_i);
    c_last : cover (32'(place) == Places - 1);
  end

endmodule
