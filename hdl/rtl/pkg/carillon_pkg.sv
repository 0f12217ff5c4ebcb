// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Types and parameters that every block of the card shares: the command and
// completion formats of hdl/doc/contract.md, bus widths, field constants and
// the build's configuration. Who uses it: everything under hdl/rtl.
package carillon_pkg;

  // ---- Configuration (named builds select these by define; `sim` is the default) ----
`ifdef CARILLON_CONFIG_U250
  parameter int unsigned ConfigId = 1;
  parameter int unsigned MsmMaxWindowBits = 16;
  parameter int unsigned MsmFullBuckets = 8;  // windows of the largest size that the bucket memory holds
  localparam int unsigned NttMaxByDefault = 28;
  localparam logic [63:0] CardMemByDefault = 64'h10_0000_0000;
  localparam int unsigned AddersByDefault = 2;
  localparam int unsigned BanksByDefault = 2;
`else
  parameter int unsigned ConfigId = 0;
  parameter int unsigned MsmMaxWindowBits = 13;  // largest signed window, 2^12 buckets
  parameter int unsigned MsmFullBuckets = 10;  // windows of the largest size that the bucket memory holds
  localparam int unsigned NttMaxByDefault = 20;
  localparam logic [63:0] CardMemByDefault = 64'h1000_0000;
  localparam int unsigned AddersByDefault = 1;
  localparam int unsigned BanksByDefault = 0;
`endif
`ifdef CARILLON_CARD_MEM_BYTES
  parameter logic [63:0] CardMemBytes = `CARILLON_CARD_MEM_BYTES;  // of a simulated card
`else
  parameter logic [63:0] CardMemBytes = CardMemByDefault;
`endif
`ifdef CARILLON_MSM_ADDERS
  parameter int unsigned MsmAdders = `CARILLON_MSM_ADDERS;
`else
  parameter int unsigned MsmAdders = AddersByDefault;  // 1, 2 or 4
`endif
`ifdef CARILLON_MEM_BANKS_LOG2
  parameter int unsigned MemBanksLog2 = `CARILLON_MEM_BANKS_LOG2;
`else
  parameter int unsigned MemBanksLog2 = BanksByDefault;  // log2 of the banks between which the board deals pages of 4 KiB
`endif
`ifdef CARILLON_NTT_STAGES
  parameter int unsigned NttStages = `CARILLON_NTT_STAGES;
`else
  parameter int unsigned NttStages = 10;  // butterflies a cycle; log2 of the rows of a tile
`endif
`ifdef CARILLON_NTT_MAX_LOG2
  parameter int unsigned NttMaxLog2 = `CARILLON_NTT_MAX_LOG2;
`else
  parameter int unsigned NttMaxLog2 = NttMaxByDefault;  // at most 3 NttStages
`endif
  parameter int unsigned MsmWindows = 16;  // windows in flight together, at most
  parameter int unsigned MsmBanks = 8;  // bucket memories of an adder
  parameter int unsigned MsmLanes = 4;  // ports that bring points and scalars
  parameter int unsigned IoQueues = 2;
  parameter int unsigned Queues = IoQueues + 1;
  parameter int unsigned MaxLog2Depth = 10;

  // ---- Buses ----
  parameter int unsigned BeatBits = 512;
  parameter int unsigned BeatBytes = BeatBits / 8;
  parameter int unsigned AddrBits = 64;
  parameter int unsigned AxiIdBits = 8;
  typedef logic [BeatBits-1:0] beat_t;
  typedef logic [AddrBits-1:0] addr_t;
  typedef logic [AxiIdBits-1:0] axi_id_t;

  // Card memory: the high digit of a stream's ID is its engine's, the low one is
  // the engine's to give (reads and writes each have their own space).
  parameter axi_id_t DmaIdBase = 8'h00;
  parameter axi_id_t MsmIdBase = 8'h10;
  parameter axi_id_t NttIdBase = 8'h20;
  parameter axi_id_t QuotientIdBase = 8'h30;

  // Streams count in whole beats. No burst crosses a boundary of 4 KiB (AXI4, A3.4.1).
  parameter int unsigned OffsetBits = $clog2(BeatBytes);
  parameter int unsigned PageBits = 12 - OffsetBits;
  typedef logic [AddrBits-OffsetBits-1:0] beat_addr_t;
  typedef logic [PageBits:0] page_beats_t;

  // Beats from a beat of 4 KiB to their end, 1 to 64.
  function automatic page_beats_t page_left(logic [PageBits-1:0] at);
    return {1'b1, PageBits'(0)} - {1'b0, at};
  endfunction

  // An address as it leaves for card memory. A board deals pages to its banks by the lowest bits of their number, and a
  // transform's rows lie a power of two apart, all in one bank; so to those bits the higher ones are added, without carry,
  // in groups of MemBanksLog2. Each group of as many pages as there are banks stays where it is, in another order. Bits
  // below BankBit are not added: pages that lie together, as those of a sum's lanes, stay in different banks.
  parameter int unsigned BankBit = 18;
  function automatic addr_t banked(addr_t addr);
    localparam int unsigned Bits = (MemBanksLog2 == 0) ? 1 : MemBanksLog2;
    logic [Bits-1:0] bank;
    banked = addr;
    if (MemBanksLog2 != 0) begin
      bank = addr[12+:Bits];
      for (int unsigned at = BankBit; at + Bits <= AddrBits; at += Bits) bank ^= addr[at+:Bits];
      banked[12+:Bits] = bank;
    end
  endfunction

  // AXI4 address channel payload. size is always 64 bytes, burst INCR.
  typedef struct packed {
    axi_id_t    id;
    addr_t      addr;
    logic [7:0] len;   // beats - 1
  } axi_ax_t;
  typedef struct packed {
    beat_t                data;
    logic [BeatBytes-1:0] strb;
    logic                 last;
  } axi_w_t;
  typedef struct packed {
    axi_id_t    id;
    logic [1:0] resp;
  } axi_b_t;
  typedef struct packed {
    axi_id_t    id;
    beat_t      data;
    logic [1:0] resp;
    logic       last;
  } axi_r_t;

  // ---- Fields ----
  parameter int unsigned FpBits = 381;
  parameter int unsigned FrBits = 255;
  typedef logic [FpBits-1:0] fp_t;
  typedef logic [FrBits-1:0] fr_t;
  parameter fp_t FpModulus = 381'h1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
  parameter fp_t FpOne = 381'h15f65ec3fa80e4935c071a97a256ec6d77ce5853705257455f48985753c758baebf4000bc40c0002760900000002fffd;  // R = 2^384 mod p
  parameter fr_t FrModulus = 255'h73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
  parameter fr_t FrOne = 255'h1824b159acc5056f998c4fefecbc4ff55884b7fa0003480200000001fffffffe;  // R = 2^256 mod r

  // Latencies in cycles of the free-running pipelines, equal in both arithmetic views.
  parameter int unsigned FpMulLatency = 37;
  parameter int unsigned FrMulLatency = 37;
  parameter int unsigned G1AddLatency = 101;
  parameter int unsigned G2AddLatency = 130;  // to the first of two words
  parameter int unsigned G2AddCycles = 3;  // from an addition in G2 to the next
  parameter int unsigned WideMulLatency = 17;
  parameter int unsigned WideMulBits = 136;

  // Homogeneous projective point of G1 (Renes-Costello-Batina): x = X/Z, y = Y/Z. A point of G2
  // is two such words: the c0 of its coordinates, then the c1, for c0 + c1 u.
  typedef struct packed {
    fp_t x;
    fp_t y;
    fp_t z;
  } xyz_t;

  // ---- Commands and completions (contract.md) ----
  typedef enum logic [7:0] {
    OpIdentify = 8'h01,
    OpAbort    = 8'h02,
    OpWrite    = 8'h10,
    OpRead     = 8'h11,
    OpFill     = 8'h12,
    OpMsmG1    = 8'h20,
    OpMsmG2    = 8'h21,
    OpNtt      = 8'h30,
    OpQuotient = 8'h38
  } opcode_e;

  typedef struct packed {
    logic [6:0][63:0] op;           // words 1..7: op[0] is word 1
    logic [15:0]      reserved;
    logic [7:0]       window_bits;
    logic [7:0]       log2n;
    logic [15:0]      cid;
    logic [7:0]       flags;
    logic [7:0]       opcode;
  } command_t;  // 512 bits, least significant first

  parameter logic [7:0] FlagSgl = 8'h01;
  parameter logic [7:0] FlagInverse = 8'h02;
  parameter logic [7:0] FlagCoset = 8'h04;
  parameter logic [7:0] FlagFullScalars = 8'h08;
  parameter logic [7:0] FlagProduct = 8'h10;
  parameter logic [7:0] FlagOdd = 8'h20;
  parameter logic [7:0] FlagLink = 8'h40;

  // Status without the phase bit: {retryable, 3'b0, code, type}.
  typedef struct packed {
    logic       retryable;
    logic [2:0] zero;
    logic [7:0] code;
    logic [2:0] kind;
  } status_t;
  parameter status_t StSuccess = '{retryable: 1'b0, zero: '0, code: 8'd0, kind: 3'd0};
  parameter status_t StInvalidOpcode = '{retryable: 1'b0, zero: '0, code: 8'd1, kind: 3'd1};
  parameter status_t StInvalidField = '{retryable: 1'b0, zero: '0, code: 8'd2, kind: 3'd1};
  parameter status_t StInvalidLength = '{retryable: 1'b0, zero: '0, code: 8'd3, kind: 3'd1};
  parameter status_t StMisaligned = '{retryable: 1'b0, zero: '0, code: 8'd4, kind: 3'd1};
  parameter status_t StOutOfRange = '{retryable: 1'b0, zero: '0, code: 8'd5, kind: 3'd1};
  parameter status_t StOverlap = '{retryable: 1'b0, zero: '0, code: 8'd6, kind: 3'd1};
  parameter status_t StBadScalar = '{retryable: 1'b0, zero: '0, code: 8'd1, kind: 3'd2};
  parameter status_t StBadPoint = '{retryable: 1'b0, zero: '0, code: 8'd2, kind: 3'd2};
  parameter status_t StHostRead = '{retryable: 1'b1, zero: '0, code: 8'd1, kind: 3'd3};
  parameter status_t StHostWrite = '{retryable: 1'b1, zero: '0, code: 8'd2, kind: 3'd3};
  parameter status_t StCardRead = '{retryable: 1'b1, zero: '0, code: 8'd3, kind: 3'd3};
  parameter status_t StCardWrite = '{retryable: 1'b1, zero: '0, code: 8'd4, kind: 3'd3};
  parameter status_t StAborted = '{retryable: 1'b1, zero: '0, code: 8'd1, kind: 3'd4};
  parameter status_t StLinkBroken = '{retryable: 1'b1, zero: '0, code: 8'd2, kind: 3'd4};
  parameter status_t StInternal = '{retryable: 1'b0, zero: '0, code: 8'd1, kind: 3'd7};

  // What an execution unit reports when a command ends.
  typedef struct packed {
    status_t     status;
    logic [31:0] detail;
    logic [31:0] bubble_other;
    logic [31:0] bubble_memory;
    logic [31:0] bubble_hazard;
    logic [31:0] ops;
    logic [31:0] cycles;
  } unit_result_t;

endpackage
