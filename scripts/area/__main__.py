"""`make area`: what the MSM engine's blocks take on UltraScale+, and how many adders fit on a card.

  python scripts/area              synthesise everything (some minutes a block) and write hdl/doc/area.md
  python scripts/area BLOCK ...    only these blocks; print, write nothing
  python scripts/area --render     write the page from the reports of earlier runs (target/area)

Needs .tools/py (make setup). Fails if a block cannot be synthesised or yosys uses a cell that is not known.
"""

import pathlib
import sys
import time

import cards
import pyslang
import synthesis

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "area"
PAGE = ROOT / "hdl" / "doc" / "area.md"
BEGIN, END = "<!-- make area: begin -->", "<!-- make area: end -->"

ARITHMETIC = ["syn/arith.f", "syn/cells.f"]
CONFIG = ["CARILLON_CONFIG_U250"]
# Block -> file lists, and the blocks in it that are synthesised on their own or computed. Order matters.
BLOCKS = {
    "fp_mul": (ARITHMETIC, []),
    "fr_mul": (ARITHMETIC, []),
    "point_add": (ARITHMETIC, ["fp_mul"]),
    "msm_scheduler": (ARITHMETIC + ["rtl/card.f"], ["msm_flags"]),
}
NAMES = {"dsp": "DSP48E2", "lut": "LUT", "ff": "FF", "bram": "BRAM36", "uram": "URAM"}


def parameters() -> dict[str, int]:
    """The parameters that size the memories, as the gateware's packages have them."""
    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    macros = " ".join(f"-D{name}" for name in CONFIG)
    lists = " ".join(f"-F {ROOT / 'hdl' / name}" for name in ["rtl/arith_fast.f", "rtl/card.f"])
    if not driver.parseCommandLine(f"slang --top carillon_card {macros} {lists}") or not driver.processOptions():
        raise synthesis.SynthesisError("slang does not take its arguments")
    if not driver.parseAllSources():
        raise synthesis.SynthesisError("slang cannot read the card's sources: run make rtl-lint")
    compilation = driver.createCompilation()
    wanted = {"carillon_pkg": ["FpBits", "MsmBanks"], "msm_pkg": ["PointsLog2", "NodeDepth", "BankBuckets"]}
    return {
        name: int(compilation.getPackage(package).find(name).value.convertToInt().value)
        for package, names in wanted.items()
        for name in names
    }


def box(name: str, sizes: dict[str, int]) -> dict[str, float]:
    """The resources of a block inside another: memories are computed, the rest is in an earlier report."""
    if name == "msm_flags":
        return {**dict.fromkeys(synthesis.RESOURCES, 0.0), "lut": cards.flag_luts(sizes["BankBuckets"])}
    return synthesis.count(synthesis.cells_of(WORK, name), {})


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def render(blocks: dict[str, dict[str, float]], sizes: dict[str, int]) -> list[str]:
    """The generated part of the page."""
    point_bits = 3 * sizes["FpBits"]
    node = cards.node_brams(point_bits, sizes["NodeDepth"])
    ring = cards.ring_luts(sizes["FpBits"], 1 << sizes["PointsLog2"], sizes["MsmBanks"])
    unit = {
        resource: blocks["point_add"][resource] + blocks["msm_scheduler"][resource] for resource in synthesis.RESOURCES
    }
    unit["lut"] += ring
    unit["bram"] += node

    flags = sizes["MsmBanks"] * cards.flag_luts(sizes["BankBuckets"])
    heads = [NAMES[resource] for resource in synthesis.RESOURCES]
    rows = [[f"`{name}`, synthesised", *(number(taken[r]) for r in synthesis.RESOURCES)] for name, taken in blocks.items()]
    rows.append(["of these, the flags of all buckets, computed", "0", number(flags), "", "0", "0"])
    rows.append(["point ring of an adder, computed", "0", number(ring), "", "0", "0"])
    rows.append(["node memory of an adder, computed", "0", "0", "", number(node), "0"])
    rows.append(["**an adder with its scheduler and memories**", *(number(unit[r]) for r in synthesis.RESOURCES)])
    lines = ["### What the blocks take", "", *table(["block", *heads], rows), ""]

    rows = []
    built = {}
    for name, card in cards.CARDS.items():
        fit, limit = cards.fitting(card, unit, {})
        adders = max((a for a in cards.ADDERS if a <= fit), default=0)
        window = cards.best_window(card, point_bits, adders * sizes["MsmBanks"], adders) if adders else None
        buckets = cards.bucket_urams(point_bits, window, adders * sizes["MsmBanks"]) if window else 0
        built[name] = (adders, window)
        taken = [f"{100 * adders * unit[r] / card[r]:.0f} %" for r in ("dsp", "lut", "ff", "bram")]
        rows.append([name, str(fit), NAMES[limit], str(adders), *taken, str(window), f"{number(buckets)} of {number(card['uram'])}"])
    head = ["card", "adders that fit", "limited by", "buildable (1, 2, 4)", "DSP48E2", "LUT", "FF", "BRAM36"]
    lines += [
        f"### Adders that fit into {100 * cards.SHARE:.0f} % of each resource",
        "",
        *table([*head, "window bits", "URAM of the buckets, computed"], rows),
        "",
        "### Projected times at 250 MHz, in seconds",
        "",
    ]
    rows = []
    for name, (adders, window) in built.items():
        if adders and window:
            times = [f"{cards.seconds(size, window, adders):.3f}" for size in cards.SIZES]
            rows.append([f"Carillon, {name}, {adders} adders, {window}-bit windows", "BLS12-381", "projected", *times])
    for name, curve, times in cards.PUBLISHED:
        rows.append([name, curve, "published", *(f"{times[s]:.3f}" if s in times else "" for s in cards.SIZES)])
    lines += table(["engine", "curve", "figure", *(f"2^{size}" for size in cards.SIZES)], rows)
    return lines


def main() -> int:
    arguments = sys.argv[1:]
    render_only = arguments == ["--render"]
    chosen = list(BLOCKS) if render_only or not arguments else arguments
    unknown = [name for name in chosen if name not in BLOCKS]
    if unknown:
        print(f"area: no such block: {', '.join(unknown)} (there are {', '.join(BLOCKS)})", file=sys.stderr)
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    blocks: dict[str, dict[str, float]] = {}
    try:
        sizes = parameters()
        for name, (lists, inside) in BLOCKS.items():
            if name in chosen and not render_only:
                start = time.monotonic()
                print(f"area: {name} ...", flush=True)
                synthesis.synthesise(ROOT, WORK, name, lists, CONFIG, inside)
                print(f"area: {name} took {time.monotonic() - start:.0f} s")
            if name in chosen:
                cells = synthesis.cells_of(WORK, name)
                boxes = {inner: blocks[inner] if inner in blocks else box(inner, sizes) for inner in inside}
                blocks[name] = synthesis.count(cells, boxes)
                print("area:   " + ", ".join(f"{NAMES[r]} {number(blocks[name][r])}" for r in synthesis.RESOURCES))
                print("area:   " + ", ".join(f"{cell} {amount}" for cell, amount in sorted(cells.items())))
        if chosen == list(BLOCKS):
            before, rest = PAGE.read_text().split(BEGIN)
            _, after = rest.split(END)
            PAGE.write_text(before + BEGIN + "\n" + "\n".join(render(blocks, sizes)) + "\n" + END + after)
            print(f"area: wrote {PAGE.relative_to(ROOT)}")
    except (synthesis.SynthesisError, ValueError) as error:
        print(f"area: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
