"""The proofs: which module, in which configuration, how far.

Parameters of packages are made small by name (MSM), never the modules themselves: what is proved is
the text that is built. Fields have their full width. Used by: run.py.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Proof:
    """One model checking problem; the properties are the labelled asserts of its top module."""

    name: str
    files: tuple[str, ...]  # under hdl/, in the order of their use; the last one is the top module's
    depth: int  # cycles of the base case and of the induction
    cover_depth: int  # cycles within which every cover is reached
    induction: bool = True  # else the properties hold for `depth` cycles after reset only
    parameters: dict[str, int] = dataclasses.field(default_factory=dict)  # package parameters with other values
    free: tuple[str, ...] = ()  # modules whose outputs are left to the prover
    cases: tuple[dict[str, int], ...] = ({},)  # parameters of the top module; all cases together are the proof
    seconds: int = 600  # give up on a step (unknown, which is a failure) after this time

    @property
    def top(self) -> str:
        return self.files[-1].rsplit("/", 1)[-1].removesuffix(".sv")


PACKAGE = "rtl/pkg/carillon_pkg.sv"
ARITHMETIC = "rtl/arith_structural.f"

# Two banks, four windows of 2 or 3 bits spread over both; additions take 5 cycles from decision to decision.
SMALL_MSM = {
    "MsmMaxWindowBits": 3,
    "MsmFullBuckets": 4,
    "MsmWindows": 4,
    "MsmBanks": 2,
    "G1AddLatency": 3,
    "G2AddLatency": 7,  # three slots of three cycles from decision to decision
}

PROOFS = (
    Proof(
        name="msm_scheduler",
        files=(
            PACKAGE,
            "rtl/msm/msm_pkg.sv",
            "rtl/mem/rr_arbiter.sv",
            "rtl/msm/msm_loop.sv",
            "rtl/msm/msm_flags.sv",
            "rtl/msm/msm_scheduler.sv",
            "formal/msm_scheduler_waiting.sv",
            "formal/msm_scheduler_props.sv",
        ),
        depth=24,
        cover_depth=26,
        parameters=SMALL_MSM,
        cases=({"G2": 0}, {"G2": 1}),
    ),
    Proof(
        name="msm_loop",
        files=(PACKAGE, "rtl/msm/msm_pkg.sv", "rtl/msm/msm_loop.sv", "formal/msm_loop_props.sv"),
        depth=18,
        cover_depth=16,
        parameters=SMALL_MSM,
    ),
    Proof(
        name="msm_slots",
        files=(
            PACKAGE,
            "rtl/msm/msm_pkg.sv",
            "rtl/mem/rr_arbiter.sv",
            "rtl/msm/msm_loop.sv",
            "rtl/msm/msm_flags.sv",
            "rtl/msm/msm_scheduler.sv",
            "formal/msm_slots_props.sv",
        ),
        depth=4,
        cover_depth=14,
        parameters=SMALL_MSM,
    ),
    Proof(
        name="msm_dispatch",
        files=(
            PACKAGE,
            "rtl/msm/msm_pkg.sv",
            "rtl/mem/fifo.sv",
            "rtl/msm/msm_dispatch.sv",
            "formal/msm_dispatch_props.sv",
        ),
        depth=4,
        cover_depth=20,
        # A ring of four points; coordinates are only carried about, so four bits stand for all.
        parameters=SMALL_MSM | {"MsmWindows": 2, "MsmFullBuckets": 2, "PointsLog2": 2, "FpBits": 4},
    ),
    # Without a state: one step decides. The default build and, with the names of its parameters, that of the U250.
    Proof(
        name="msm_places",
        files=(PACKAGE, "rtl/msm/msm_pkg.sv", "formal/msm_places_props.sv"),
        depth=1,
        cover_depth=1,
        cases=({"G2": 0}, {"G2": 1}),
    ),
    Proof(
        name="msm_places_u250",
        files=(PACKAGE, "rtl/msm/msm_pkg.sv", "formal/msm_places_props.sv"),
        depth=1,
        cover_depth=1,
        cases=({"G2": 0}, {"G2": 1}),
        parameters={"MsmMaxWindowBits": 16, "MsmFullBuckets": 8, "MsmAdders": 2},
    ),
    # The whole range of sizes that is built; a transform ends within fourteen cycles when nothing is moved.
    Proof(
        name="ntt_plan",
        files=(PACKAGE, "rtl/ntt/ntt_pkg.sv", "rtl/ntt/ntt_control.sv", "formal/ntt_plan_props.sv"),
        depth=14,
        cover_depth=14,
        induction=False,
        parameters={"NttMaxLog2": 28},
    ),
    Proof(
        name="ntt_walk",
        files=(PACKAGE, "rtl/ntt/ntt_pkg.sv", "rtl/ntt/ntt_walk.sv", "formal/ntt_walk_props.sv"),
        depth=3,
        cover_depth=14,
        parameters={"NttStages": 4},
    ),
    Proof(
        name="ntt_feed",
        files=(PACKAGE, "rtl/vec/fr_arith_pkg.sv", "rtl/ntt/ntt_pkg.sv", "rtl/ntt/ntt_feed.sv", "formal/ntt_feed_props.sv"),
        depth=3,
        cover_depth=24,
    ),
    Proof(
        name="fifo",
        files=("rtl/mem/fifo.sv", "formal/fifo_props.sv"),
        depth=6,
        cover_depth=20,
    ),
    Proof(
        name="stream_reader",
        files=(PACKAGE, "rtl/mem/fifo.sv", "rtl/mem/stream_reader.sv", "formal/stream_reader_props.sv"),
        depth=8,
        cover_depth=24,
    ),
    Proof(
        name="run_writer",
        files=(PACKAGE, "rtl/mem/fifo.sv", "rtl/mem/run_writer.sv", "formal/run_writer_props.sv"),
        depth=4,
        cover_depth=20,
    ),
    Proof(
        name="axi_rd_mux",
        files=(PACKAGE, "rtl/mem/rr_arbiter.sv", "rtl/mem/axi_rd_mux.sv", "formal/axi_mux_requests.sv", "formal/axi_rd_mux_props.sv"),
        depth=3,
        cover_depth=8,
        parameters={"AxiIdBits": 3},
    ),
    Proof(
        name="axi_wr_mux",
        files=(
            PACKAGE,
            "rtl/mem/fifo.sv",
            "rtl/mem/rr_arbiter.sv",
            "rtl/mem/axi_wr_mux.sv",
            "formal/axi_mux_requests.sv",
            "formal/axi_wr_mux_props.sv",
        ),
        depth=3,
        cover_depth=10,
        parameters={"AxiIdBits": 3},
    ),
    Proof(
        name="axi_isolate_read",
        files=(PACKAGE, "rtl/mem/axi_isolate_read.sv", "formal/axi_isolate_read_props.sv"),
        depth=4,
        cover_depth=12,
    ),
    Proof(
        name="axi_isolate_write",
        files=(PACKAGE, "rtl/mem/fifo.sv", "rtl/mem/axi_isolate_write.sv", "formal/axi_isolate_write_props.sv"),
        depth=4,
        cover_depth=14,
    ),
    # Pipelines without a state: the induction is as long as the pipeline, and the base has nothing to check.
    Proof(name="fp_add", files=(ARITHMETIC, "formal/fp_add_props.sv"), depth=5, cover_depth=8),
    Proof(name="fp_sub", files=(ARITHMETIC, "formal/fp_sub_props.sv"), depth=5, cover_depth=8),
    Proof(
        name="fp_times12",
        files=(ARITHMETIC, "formal/fp_times12_props.sv"),
        depth=7,
        cover_depth=10,
        cases=tuple({"Estimate": estimate} for estimate in range(12)),
    ),
    Proof(
        name="mont_mul",
        files=(ARITHMETIC, "formal/mont_mul_props.sv"),
        depth=8,
        cover_depth=10,
        free=("mul_const", "mul_karatsuba"),
        cases=({"Scalar": 0}, {"Scalar": 1}),
    ),
)
