// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// One queue pair: ring indices, doorbells, the command that runs and the one
// that was fetched ahead of it, and how the queue starts and stops. It asks the
// shared parts to fetch, run and post; it touches no bus itself.
// Used by: queue_engine (one per queue). Protocol: hdl/doc/queue.md.
module queue_ring
  import carillon_pkg::*;
  import queue_pkg::*;
#(
  parameter logic [15:0] QueueNumber = '0
) (
  input logic clk_i,
  input logic rst_ni,

  // Registers
  input  logic                 enable_i,
  input  queue_config_t        config_i,
  input  logic                 sq_tail_valid_i,  // doorbell written
  input  logic          [31:0] sq_tail_i,
  input  logic                 cq_head_valid_i,  // doorbell written
  input  logic          [31:0] cq_head_i,
  output logic                 active_o,
  output queue_error_e         error_o,
  output ring_index_t          sq_head_o,
  output logic                 failed_o,         // pulse: the queue stopped itself
  output logic                 awake_o,          // something will happen without a register access

  // Fetch
  output logic     fetch_valid_o,
  output addr_t    fetch_addr_o,
  input  logic     fetch_taken_i,
  input  logic     fetch_done_i,
  input  logic     fetch_failed_i,
  input  command_t fetch_command_i,
  input  status_t  fetch_status_i,

  // Run
  output logic         run_valid_o,
  output command_t     run_command_o,  // held while valid and until done
  input  logic         run_taken_i,
  output logic         run_abort_o,    // level
  input  logic         run_done_i,
  input  unit_result_t run_result_i,

  // ABORT of one of this queue's commands
  input  logic        abort_i,        // pulse
  input  logic [15:0] abort_cid_i,
  output logic        abort_found_o,  // abort_cid_i names a command that abort_i would end
  output logic        settled_o,      // no fetch is due or under way: abort_found_o is final

  // Post
  output logic        post_valid_o,
  output addr_t       post_addr_o,
  output completion_t post_completion_o,
  input  logic        post_taken_i,
  input  logic        post_done_i,
  input  logic        post_failed_i
);

  localparam int unsigned CommandShift = $clog2($bits(command_t) / 8);
  localparam int unsigned CompletionShift = $clog2(CompletionBytes);

  // ---- Life of the queue ----
  typedef enum logic [1:0] {
    Off,     // waits for enable
    On,
    Ending,  // lets go of what is under way, then Off or Dead
    Dead     // stopped by an error; waits for enable to fall
  } life_e;
  life_e life_q;
  logic  released_q;  // enable was low while ending: no need to wait for it in Dead
  queue_error_e error_q, error_now;
  addr_t sq_base_q, cq_base_q;
  ring_index_t mask_q;  // depth - 1

  wire         depth_ok = config_i.log2_depth != '0 && config_i.log2_depth <= 8'(MaxLog2Depth);
  wire         start = life_q == Off && enable_i;
  wire         on = life_q == On;
  logic        drained;

  // ---- Ring indices ----
  ring_index_t sq_head_q, sq_tail_q, cq_head_q, cq_tail_q;
  logic             phase_q;
  wire ring_index_t cq_next = (cq_tail_q + 1'b1) & mask_q;
  wire              sq_tail_bad = sq_tail_valid_i && (sq_tail_i & ~32'(mask_q)) != '0;
  wire              cq_head_bad = cq_head_valid_i && (cq_head_i & ~32'(mask_q)) != '0;

  // ---- The command fetched ahead, and the current one ----
  typedef enum logic [2:0] {
    Empty,
    Ready,    // wants its unit
    Running,
    Finished, // wants to be posted
    Posting
  } slot_e;
  slot_e slot_q;
  command_t command_q, next_command_q;
  status_t status_q, next_status_q;  // of the check
  logic aborted_q, next_aborted_q;
  ring_index_t after_q;  // head to report: the index after the current command
  logic next_valid_q, fetching_q;
  unit_result_t result_q;
  wire          advance = on && slot_q == Empty && next_valid_q;

  always_comb begin
    error_now = QueueNoError;
    if (start && !depth_ok) error_now = QueueDoorbell;
    else if (on) begin
      if (sq_tail_bad || cq_head_bad) error_now = QueueDoorbell;
      else if (fetch_done_i && fetch_failed_i) error_now = QueueFetch;
      else if (post_done_i && post_failed_i) error_now = QueuePost;
    end
  end
  assign drained = !fetching_q && slot_q != Running && slot_q != Posting;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      life_q <= Off;
      released_q <= 1'b0;
      error_q <= QueueNoError;
    end else begin
      unique case (life_q)
        Off: begin
          released_q <= 1'b0;
          if (enable_i) begin
            error_q <= error_now;
            life_q <= depth_ok ? On : Dead;
          end
        end
        On: begin
          released_q <= !enable_i;
          error_q <= error_now;
          if (!enable_i || error_now != QueueNoError) life_q <= Ending;
        end
        Ending: begin
          if (!enable_i) released_q <= 1'b1;
          if (drained) life_q <= released_q || !enable_i ? Off : Dead;
        end
        default: if (!enable_i) life_q <= Off;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      sq_base_q <= config_i.sq_base;
      cq_base_q <= config_i.cq_base;
      for (int i = 0; i < int'(MaxLog2Depth); i++) mask_q[i] <= 8'(i) < config_i.log2_depth;
    end
  end

  assign active_o = life_q == On || life_q == Ending;
  // A completion that waits for room is asleep: only a doorbell moves it on.
  assign awake_o = start || life_q == Ending || !settled_o || advance || post_valid_o ||
      slot_q == Ready || slot_q == Running || slot_q == Posting;
  assign error_o = error_q;
  assign failed_o = error_now != QueueNoError;

  // ---- Indices ----
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      sq_head_q <= '0;
      sq_tail_q <= '0;
      cq_head_q <= '0;
      cq_tail_q <= '0;
      phase_q <= 1'b1;
    end else if (start) begin
      sq_head_q <= '0;
      sq_tail_q <= '0;
      cq_head_q <= '0;
      cq_tail_q <= '0;
      phase_q <= 1'b1;
    end else if (on) begin
      if (sq_tail_valid_i && !sq_tail_bad) sq_tail_q <= ring_index_t'(sq_tail_i);
      if (cq_head_valid_i && !cq_head_bad) cq_head_q <= ring_index_t'(cq_head_i);
      if (fetch_done_i && !fetch_failed_i) sq_head_q <= (sq_head_q + 1'b1) & mask_q;
      if (post_done_i) begin
        cq_tail_q <= cq_next;
        phase_q <= phase_q ^ (cq_next == '0);
      end
    end
  end
  assign sq_head_o = sq_head_q;

  // ---- Which of its commands an abort would end: the current one before the next ----
  wire current_hit = (slot_q == Ready || slot_q == Running) && command_q.cid == abort_cid_i;
  wire next_hit = next_valid_q && next_command_q.cid == abort_cid_i;
  wire aborted_now = aborted_q || (abort_i && current_hit);
  assign abort_found_o = on && (current_hit || next_hit);

  // ---- Fetch ahead ----
  wire wanted = on && !next_valid_q && sq_head_q != sq_tail_q;
  assign fetch_valid_o = wanted && !fetching_q;
  assign fetch_addr_o = sq_base_q + (addr_t'(sq_head_q) << CommandShift);
  assign settled_o = !fetching_q && !wanted;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      fetching_q <= 1'b0;
      next_valid_q <= 1'b0;
      next_aborted_q <= 1'b0;
    end else begin
      if (fetch_taken_i) fetching_q <= 1'b1;
      else if (fetch_done_i) fetching_q <= 1'b0;

      if (!on || advance) next_valid_q <= 1'b0;
      else if (fetch_done_i) next_valid_q <= !fetch_failed_i;

      if (fetch_done_i) next_aborted_q <= 1'b0;
      else if (abort_i && next_hit && !current_hit) next_aborted_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (fetch_done_i) begin
      next_command_q <= fetch_command_i;
      next_status_q <= fetch_status_i;
    end
  end

  // ---- Links: a command that failed, or did not run because of one, takes the next with it ----
  logic        broken_q;
  logic [15:0] broken_cid_q;  // of the command that failed
  wire         linked = QueueNumber != '0 && (command_q.flags & FlagLink) != '0;  // not on the admin queue

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      broken_q <= 1'b0;
      broken_cid_q <= '0;
    end else if (start) begin
      broken_q <= 1'b0;
    end else if (slot_q == Posting && post_done_i) begin
      broken_q <= linked && result_q.status != StSuccess;
      if (!broken_q) broken_cid_q <= command_q.cid;
    end
  end

  // ---- Run the current command ----
  wire refused = aborted_q || broken_q || status_q != StSuccess;
  assign run_valid_o = on && slot_q == Ready && !refused;
  assign run_command_o = command_q;
  assign run_abort_o = slot_q == Running && (aborted_q || !on);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      slot_q <= Empty;
      aborted_q <= 1'b0;
    end else begin
      if (advance) aborted_q <= next_aborted_q || (abort_i && next_hit && !current_hit);
      else if (abort_i && current_hit) aborted_q <= 1'b1;

      unique case (slot_q)
        Empty:   if (advance) slot_q <= Ready;
        Ready: begin
          if (!on) slot_q <= Empty;
          else if (refused) slot_q <= Finished;
          else if (run_taken_i) slot_q <= Running;
        end
        Running: if (run_done_i) slot_q <= Finished;
        Finished: begin
          if (post_taken_i) slot_q <= Posting;
          else if (!on) slot_q <= Empty;
        end
        default: if (post_done_i) slot_q <= Empty;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      command_q <= next_command_q;
      status_q <= next_status_q;
      after_q <= sq_head_q;  // nothing is fetched while a next command waits
    end
    if (slot_q == Ready) begin
      result_q <= '0;
      result_q.status <= aborted_now ? StAborted : broken_q ? StLinkBroken : status_q;
      if (broken_q && !aborted_now) result_q.detail <= 32'(broken_cid_q);
    end else if (run_done_i) begin
      result_q <= run_result_i;
      // Whatever the unit says: ABORT has promised that the command ends so.
      if (aborted_now) result_q.status <= StAborted;
    end
  end

  // ---- Post ----
  assign post_valid_o = on && slot_q == Finished && cq_next != cq_head_q;
  assign post_addr_o = cq_base_q + (addr_t'(cq_tail_q) << CompletionShift);
  assign post_completion_o = '{
      status: result_q.status,
      phase: phase_q,
      cid: command_q.cid,
      queue_number: QueueNumber,
      sq_head: 16'(after_q),
      detail: result_q.detail,
      bubble_other: result_q.bubble_other,
      bubble_memory: result_q.bubble_memory,
      bubble_hazard: result_q.bubble_hazard,
      ops: result_q.ops,
      cycles: result_q.cycles
  };

endmodule
