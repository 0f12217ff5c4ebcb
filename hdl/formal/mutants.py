"""Faults put into the gateware on purpose, to see that the proofs notice. Used by: run.py --mutants."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One line of the gateware, wrong."""

    name: str
    proof: str  # that must refute it
    file: str  # under hdl/
    old: str  # occurs once
    new: str
    depth: int  # cycles after reset within which it shows
    case: dict[str, int] | None = None  # of the proof's cases, when not the first


SCHEDULER = "rtl/msm/msm_scheduler.sv"
DISPATCH = "rtl/msm/msm_dispatch.sv"
READER = "rtl/mem/stream_reader.sv"
TIMES12 = "rtl/field/fp_times12.sv"

MUTANTS = (
    Mutant(
        name="sum_joins_a_stranger",
        proof="msm_scheduler",
        file=SCHEDULER,
        old="same[b] = out_here[b] && candidate_valid_i[b] && candidate_i[b].place == back.place;",
        new="same[b] = out_here[b] && candidate_valid_i[b];",
        depth=16,
    ),
    Mutant(
        name="met_and_parked",
        proof="msm_scheduler",
        file=SCHEDULER,
        old="park[b] = candidate_valid_i[b] && !same[b] && !in_full[b] && start;",
        new="park[b] = candidate_valid_i[b] && !in_full[b] && start;",
        depth=16,
    ),
    Mutant(
        name="sum_and_point_dropped",
        proof="msm_scheduler",
        file=SCHEDULER,
        old="|(out_here & (same | out_full));",
        new="|(out_here & out_full);",
        depth=16,
    ),
    Mutant(
        name="tag_of_another_bank",
        proof="msm_scheduler",
        file=SCHEDULER,
        old="tag.bank = turn;",
        new="tag.bank = back.bank;",
        depth=16,
    ),
    Mutant(
        name="flag_lost_when_both_toggle",
        proof="msm_scheduler",
        file="rtl/msm/msm_flags.sv",
        old="else if (in_toggle_i) in_q",
        new="else if (in_toggle_i && !out_toggle_i) in_q",
        depth=16,
    ),
    Mutant(
        name="bank_starves",
        proof="msm_scheduler",
        file="rtl/mem/rr_arbiter.sv",
        old="later_q[i] <= i > int'(index_o);",
        new="later_q[i] <= i >= int'(index_o);",
        depth=16,
    ),
    Mutant(
        name="window_at_rest_too_early",
        proof="msm_scheduler",
        file=SCHEDULER,
        old="wire starts = bucket_issue_o && tag.win == win_t'(w);",
        new="wire starts = bucket_issue_o && !out_issue && tag.win == win_t'(w);",
        depth=16,
    ),
    Mutant(
        name="stale_sum_behind_the_shorter_loop",
        proof="msm_scheduler",
        file="rtl/msm/msm_loop.sv",
        old="(g2_i ? place_t'(G2LoopSlots - 2) : place_t'(LoopLatency - 2))",
        new="place_t'(LoopLatency - 2)",
        depth=16,
        case={"G2": 1},
    ),
    Mutant(
        name="parked_between_slots",
        proof="msm_slots",
        file=SCHEDULER,
        old="!in_full[b] && start;",
        new="!in_full[b] && !flush_i;",
        depth=8,
    ),
    Mutant(
        name="second_words_of_nothing",
        proof="msm_slots",
        file=SCHEDULER,
        old="        issue_o.valid <= 1'b0;\n        sum_due_o",
        new="        sum_due_o",
        depth=8,
    ),
    Mutant(
        name="slot_free_while_a_candidate",
        proof="msm_dispatch",
        file=DISPATCH,
        old="(valid_q[b] && candidate_q[b].slot == oldest_q) || (queue_valid[b] && front.slot == oldest_q);",
        new="(queue_valid[b] && front.slot == oldest_q);",
        depth=10,
    ),
    Mutant(
        name="second_word_of_the_first_slot",
        proof="msm_dispatch",
        file=DISPATCH,
        old="else if (first_q) slot_q[0] <= 1'b1;",
        new="",
        depth=12,
        case={"G2": 1},
    ),
    Mutant(
        name="slot_of_a_pair_free_too_early",
        proof="msm_dispatch",
        file=DISPATCH,
        old="held_q <= held_t'(Slots) - span;",
        new="held_q != held_t'(Slots);",
        depth=16,
        case={"G2": 1},
    ),
    Mutant(
        name="digit_twice",
        proof="msm_dispatch",
        file=DISPATCH,
        old="done_q <= finished ? '0 : done_q | (items_t'(1) << item);",
        new="done_q <= finished ? '0 : items_t'(1) << item;",
        depth=8,
    ),
    Mutant(
        name="candidate_overwritten",
        proof="msm_dispatch",
        file=DISPATCH,
        old="wire load = queue_valid[b] && (!valid_q[b] || candidate_take_i[b]);",
        new="wire load = queue_valid[b];",
        depth=8,
    ),
    Mutant(
        name="windows_share_places",
        proof="msm_places",
        file="rtl/msm/msm_pkg.sv",
        old="(cell_t'(win) << (bits - window_bits_t'(MsmMinWindowBits)))",
        new="(cell_t'(win) << (bits - window_bits_t'(MsmMinWindowBits + 1)))",
        depth=1,
    ),
    Mutant(
        name="full_one_too_late",
        proof="fifo",
        file="rtl/mem/fifo.sv",
        old="&& head_q[DepthLog2] != tail_q[DepthLog2];",
        new="&& 1'b0;",
        depth=12,
    ),
    Mutant(
        name="burst_without_space",
        proof="stream_reader",
        file=READER,
        old="&& 32'(free_q) >= 32'(burst);",
        new="&& free_q != '0;",
        depth=10,
    ),
    Mutant(
        name="request_withdrawn",
        proof="stream_reader",
        file=READER,
        old="if (ar_ready_i) ar_valid_q <= 1'b0;",
        new="if (ar_ready_i || flush_i) ar_valid_q <= 1'b0;",
        depth=8,
    ),
    Mutant(
        name="data_waits_for_its_request",
        proof="run_writer",
        file="rtl/mem/run_writer.sv",
        old="(FifoLog2 + 1)'(take && burst_ends)",
        new="(FifoLog2 + 1)'(aw_done)",
        depth=10,
    ),
    Mutant(
        name="burst_beyond_the_page",
        proof="run_writer",
        file="rtl/mem/run_writer.sv",
        old="|| &at_q[PageBits-1:0];",
        new=";",
        depth=10,
    ),
    Mutant(
        name="old_answers_pass",
        proof="axi_isolate_read",
        file="rtl/mem/axi_isolate_read.sv",
        old="open_q && card_rst_ni;",
        new="card_rst_ni;",
        depth=8,
    ),
    Mutant(
        name="request_dropped_at_reset",
        proof="axi_isolate_read",
        file="rtl/mem/axi_isolate_read.sv",
        old="assign m_ar_valid_o = ar_valid_q;",
        new="assign m_ar_valid_o = ar_valid_q && card_rst_ni;",
        depth=8,
    ),
    Mutant(
        name="filled_with_old_strobes",
        proof="axi_isolate_write",
        file="rtl/mem/axi_isolate_write.sv",
        old="strb: '0",
        new="strb: '1",
        depth=10,
    ),
    Mutant(
        name="burst_left_unfinished",
        proof="axi_isolate_write",
        file="rtl/mem/axi_isolate_write.sv",
        old="(s_w_valid_i || !open)",
        new="s_w_valid_i",
        depth=10,
    ),
    Mutant(
        name="data_without_its_request",
        proof="axi_isolate_write",
        file="rtl/mem/axi_isolate_write.sv",
        old="w_space && order_valid && (",
        new="w_space && (",
        depth=8,
    ),
    Mutant(
        name="sign_one_bit_low",
        proof="fp_add",
        file="rtl/field/fp_add.sv",
        old="less[Width-1] ?",
        new="less[Width-2] ?",
        depth=6,
    ),
    Mutant(
        name="borrow_forgotten",
        proof="fp_sub",
        file="rtl/field/fp_sub.sv",
        old="difference[Width-1] ?",
        new="1'b0 ?",
        depth=6,
    ),
    Mutant(
        name="estimate_too_high",
        proof="fp_times12",
        file=TIMES12,
        old="top > threshold(j)",
        new="top >= threshold(j)",
        depth=8,
        case={"Estimate": 5},
    ),
    Mutant(
        name="estimate_too_coarse",
        proof="fp_times12",
        file=TIMES12,
        old="TopBits = 10;",
        new="TopBits = 3;",
        depth=8,
        case={"Estimate": 5},
    ),
    Mutant(
        name="choice_by_another_bit",
        proof="mont_mul",
        file="rtl/field/mont_mul.sv",
        old="less_plain[Sign] ?",
        new="less_plain[Sign-1] ?",
        depth=8,
        case={"Scalar": 0},
    ),
)
