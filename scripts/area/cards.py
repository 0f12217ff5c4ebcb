"""Cards, the memories of the MSM engine, and the times that follow from cycles."""

import math

# What a card's device has, as AMD states it in its product tables.
CARDS = {
    "U250": {"dsp": 12288, "lut": 1_728_000, "ff": 3_456_000, "bram": 2688, "uram": 1280},
    "U55C": {"dsp": 9024, "lut": 1_304_000, "ff": 2_607_000, "bram": 2016, "uram": 960},
    "VU9P": {"dsp": 6840, "lut": 1_182_000, "ff": 2_364_000, "bram": 2160, "uram": 960},
}
# Of each resource, what the engine may take; the rest is for NTT, DMA, the shell and for routing.
SHARE = 0.80
# Numbers of adders that the engine can be built with (MsmAdders).
ADDERS = [1, 2, 4]

CLOCK = 250e6
SIZES = [20, 24, 26]
# Window sizes with the endomorphism: windows, and digits of a point (two for each window).
WINDOWS = {13: (10, 20), 15: (9, 18), 16: (8, 16)}

PUBLISHED = [
    ("Yrrid and Ingonyama, U250", "BLS12-381", {24: 0.511}),
    ("CycloneMSM, AWS F1", "BLS12-377", {24: 1.761}),
    ("hardcaml, AWS F1", "BLS12-377", {26: 5.08}),
    ("RTX 5000 Ada", "BLS12-381", {24: 0.109}),
]

URAM_WIDTH, URAM_DEPTH = 72, 4096
BRAM_WIDTH, BRAM_DEPTH = 72, 512
LUTRAM_DEPTH = 64


def urams(width: int, depth: int) -> int:
    return math.ceil(width / URAM_WIDTH) * math.ceil(depth / URAM_DEPTH)


def bucket_urams(point_bits: int, window_bits: int, banks: int) -> int:
    """Bucket memory of all windows of a scalar, spread over `banks` memories (both ports are in use)."""
    windows, _ = WINDOWS[window_bits]
    return banks * urams(point_bits, math.ceil((windows << (window_bits - 1)) / banks))


def node_brams(point_bits: int, depth: int) -> int:
    """Node memory of an adder: one write port, two read ports, hence two copies."""
    return 2 * math.ceil(point_bits / BRAM_WIDTH) * math.ceil(depth / BRAM_DEPTH)


def ring_luts(coordinate_bits: int, slots: int, banks: int) -> int:
    """Point ring of an adder: x, its image, y and -y, a read port for each bank, one LUT for 64 bits."""
    return 4 * coordinate_bits * math.ceil(slots / LUTRAM_DEPTH) * banks


def flag_luts(buckets: int) -> int:
    """The full/empty flags of a bank: two bits a bucket, each with two addresses, and the choice among the
    memories (four to one in a LUT, then four to one of those, and so on)."""
    cells = math.ceil(buckets / LUTRAM_DEPTH)
    choice = 0
    left = cells
    while left > 1:
        left = math.ceil(left / 4)
        choice += left
    return 2 * 2 * (cells + choice)


def fitting(card: dict[str, float], unit: dict[str, float], fixed: dict[str, float]) -> tuple[int, str]:
    """How many units fit beside what is there once, and the resource that limits them."""
    counts = {
        resource: (math.floor((SHARE * card[resource] - fixed.get(resource, 0)) / amount), resource)
        for resource, amount in unit.items()
        if amount > 0
    }
    return min(counts.values())


def best_window(card: dict[str, float], point_bits: int, banks: int, adders: int) -> int | None:
    """Of the window sizes whose buckets the card's share of URAM holds, the quickest for large sums."""
    fits = [c for c in WINDOWS if bucket_urams(point_bits, c, banks) <= SHARE * card["uram"]]
    return min(fits, key=lambda c: seconds(SIZES[-1], c, adders), default=None)


def seconds(log2n: int, window_bits: int, adders: int) -> float:
    """Time of a sum of uniform scalars: the adder with the most windows decides."""
    windows, digits = WINDOWS[window_bits]
    most = math.ceil(windows / adders)
    cycles = (1 << log2n) * digits / windows * most + 2 * most * (1 << (window_bits - 1))
    return cycles / CLOCK
