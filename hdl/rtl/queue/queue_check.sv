// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Judges a command before it runs, in the order that contract.md prescribes:
// opcode, field, length, alignment, range, overlap. Pure, two register stages.
// Used by: queue_fetch.
module queue_check
  import carillon_pkg::*;
(
  input  logic     clk_i,
  input  logic     rst_ni,
  input  logic     valid_i,
  input  command_t command_i,  // held until valid_o
  input  logic     admin_i,    // the command came from the admin queue
  output logic     valid_o,    // two cycles after valid_i
  output status_t  status_o
);

  localparam int unsigned Ranges = 5;
  localparam logic [63:0] ElementBytes = 64'd32;  // Fr
  localparam logic [63:0] PointBytes = 64'd96;  // affine G1; twice that in G2
  localparam logic [63:0] MsmResultBytes = 64'd192;
  localparam logic [63:0] MsmG2ResultBytes = 64'd320;
  localparam logic [63:0] MaxElements = 64'hFFFF_FFFF;

  // ---- Stage 1: opcode, fields, lengths, alignment; which card memory is touched ----
  logic known, field_ok, length_ok, aligned;
  logic [Ranges-1:0] used;
  logic [Ranges-1:0][63:0] start, bytes;
  logic       disjoint;  // the first three ranges must not overlap

  // Any command of an I/O queue may be linked to the next.
  logic [7:0] flags;
  assign flags = admin_i ? command_i.flags : command_i.flags & ~FlagLink;

  function automatic logic aligned_to_beat(logic [63:0] address);
    return (address & 64'(BeatBytes - 1)) == '0;
  endfunction

  function automatic logic countable(logic [63:0] count);
    return count != '0 && count <= MaxElements;
  endfunction

  always_comb begin
    known = 1'b1;
    field_ok = command_i.reserved == '0;
    length_ok = 1'b1;
    aligned = aligned_to_beat(command_i.op[0]);
    used = '0;
    for (int i = 0; i < int'(Ranges); i++) begin
      start[i] = command_i.op[i];
      bytes[i] = '0;
    end
    disjoint = 1'b0;

    unique case (command_i.opcode)
      OpIdentify: begin
        known = admin_i;
        field_ok &= flags == '0;
      end
      OpAbort: begin
        known = admin_i;
        field_ok &= flags == '0;
        aligned = 1'b1;  // op0 is no address
      end
      OpWrite, OpRead: begin
        known = !admin_i;
        field_ok &= (flags & ~FlagSgl) == '0;
        length_ok = command_i.op[2] != '0 && aligned_to_beat(command_i.op[2]);
        aligned &= aligned_to_beat(command_i.op[1]);
        used[1] = 1'b1;
        bytes[1] = command_i.op[2];
      end
      OpFill: begin
        known = !admin_i;
        field_ok &= flags == '0;
        length_ok = command_i.op[2] != '0 && aligned_to_beat(command_i.op[2]);
        aligned = aligned_to_beat(command_i.op[1]);  // op0 is no address
        used[1] = 1'b1;
        bytes[1] = command_i.op[2];
      end
      OpMsmG1, OpMsmG2: begin
        known = !admin_i;
        field_ok &= (flags & ~FlagFullScalars) == '0 && command_i.window_bits <= 8'(MsmMaxWindowBits);
        length_ok = countable(command_i.op[2]);
        aligned &= aligned_to_beat(command_i.op[1]) && aligned_to_beat(command_i.op[3]);
        used[0] = 1'b1;
        bytes[0] = (64'(command_i.op[2][31:0]) * PointBytes) << (command_i.opcode == OpMsmG2);
        used[1] = 1'b1;
        bytes[1] = 64'(command_i.op[2][31:0]) * ElementBytes;
        used[3] = 1'b1;
        bytes[3] = (command_i.opcode == OpMsmG2) ? MsmG2ResultBytes : MsmResultBytes;
      end
      OpNtt: begin
        known = !admin_i;
        field_ok &= (flags & ~(FlagInverse | FlagCoset | FlagOdd)) == '0 && command_i.log2n <= 8'(NttMaxLog2);
        field_ok &= (flags & (FlagCoset | FlagOdd)) != (FlagCoset | FlagOdd);  // one shift at most
        aligned &= aligned_to_beat(command_i.op[1]) && aligned_to_beat(command_i.op[2]);
        disjoint = 1'b1;
        for (int i = 0; i < 3; i++) begin
          used[i] = 1'b1;
          bytes[i] = ElementBytes << command_i.log2n[5:0];
        end
      end
      OpQuotient: begin
        known = !admin_i;
        field_ok &= (flags & ~FlagProduct) == '0;
        length_ok = countable(command_i.op[4]);
        aligned &= aligned_to_beat(command_i.op[1]) && aligned_to_beat(command_i.op[3]);
        for (int i = 0; i < 4; i++) begin
          used[i] = 1'b1;
          bytes[i] = 64'(command_i.op[4][31:0]) * ElementBytes;
        end
        used[4] = 1'b1;  // z, one element
        start[4] = command_i.op[5];
        bytes[4] = ElementBytes;
        // A product has neither c nor z.
        if (|(flags & FlagProduct)) begin
          used[2] = 1'b0;
          used[4] = 1'b0;
        end else aligned &= aligned_to_beat(command_i.op[2]) && aligned_to_beat(command_i.op[5]);
      end
      default: known = 1'b0;
    endcase
  end

  logic valid_q, known_q, field_ok_q, length_ok_q, aligned_q, disjoint_q;
  logic [Ranges-1:0] used_q;
  logic [Ranges-1:0][63:0] start_q, bytes_q;

  always_ff @(posedge clk_i) begin
    known_q <= known;
    field_ok_q <= field_ok;
    length_ok_q <= length_ok;
    aligned_q <= aligned;
    disjoint_q <= disjoint;
    used_q <= used;
    start_q <= start;
    bytes_q <= bytes;
  end

  // ---- Stage 2: range and overlap, then the first fault in order ----
  logic in_range, overlap;
  status_t status;

  always_comb begin
    in_range = 1'b1;
    for (int i = 0; i < int'(Ranges); i++) begin
      if (used_q[i] && (bytes_q[i] > CardMemBytes || start_q[i] > CardMemBytes - bytes_q[i])) in_range = 1'b0;
    end
    // Buffers are aligned to beats, so comparing elements also covers the padding of a last beat.
    overlap = 1'b0;
    for (int i = 0; i < 3; i++) begin
      for (int j = 0; j < i; j++) begin
        if (start_q[i] < start_q[j] + bytes_q[j] && start_q[j] < start_q[i] + bytes_q[i]) overlap = disjoint_q;
      end
    end

    if (!known_q) status = StInvalidOpcode;
    else if (!field_ok_q) status = StInvalidField;
    else if (!length_ok_q) status = StInvalidLength;
    else if (!aligned_q) status = StMisaligned;
    else if (!in_range) status = StOutOfRange;
    else if (overlap) status = StOverlap;
    else status = StSuccess;
  end

  always_ff @(posedge clk_i) status_o <= status;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      valid_o <= 1'b0;
    end else begin
      valid_q <= valid_i;
      valid_o <= valid_q;
    end
  end

  wire unused = &{1'b0, command_i.cid, command_i.op[6], command_i.log2n[7:6]};

endmodule
