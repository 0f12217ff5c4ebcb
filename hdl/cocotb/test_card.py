"""The whole card against cocotbext-axi: random jobs of every command that moves or computes data, with pauses on every channel and resets
of the card in the middle of transfers. What the buses' rules are is checked by the assertions of hdl/sva as well.

CARILLON_SEED and CARILLON_JOBS choose what is drawn and how much.
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

import field
from host import STATUS, Host

WRITE, READ, FILL, MSM_G1, MSM_G2, NTT, QUOTIENT = 0x10, 0x11, 0x12, 0x20, 0x21, 0x30, 0x38
INVERSE, COSET, FULL_SCALARS, PRODUCT, ODD, LINK = 2, 4, 8, 0x10, 0x20, 0x40
BAD_SCALAR, LINK_BROKEN = 1 << 3 | 2, 1 << 14 | 2 << 3 | 4
JOBS = int(os.environ.get("CARILLON_JOBS", "12"))
SEED = int(os.environ.get("CARILLON_SEED", "1"))

# Places in card memory.
SOURCE, DESTINATION, SCRATCH, BASES, SCALARS, RESULT = range(0, 6 << 18, 1 << 18)
# Multiples of the generator: a sum over them has one factor.
GENERATORS = {MSM_G1: field.GENERATOR, MSM_G2: field.GENERATOR_G2}
POINTS = {group: [field.multiply(generator, factor) for factor in range(1, 9)] for group, generator in GENERATORS.items()}


async def send(host, at, data):
    data = data.ljust(-(-len(data) // 64) * 64, b"\0")
    place = host.allocate(len(data))
    host.memory.mem[place : place + len(data)] = data
    await host.run(WRITE, (place, at, len(data)))
    # Where it went, as the board's memory sees it: hdl/rtl/pkg/carillon_pkg.sv, banked.
    page = dealt(at)
    assert host.card.mem[page : page + min(len(data), 4096)] == data[:4096], f"written to {at:#x}, not found at {page:#x}"


def dealt(address):
    """The place of an address of card memory with four banks."""
    bank = address >> 12 & 3
    for bit in range(18, 64, 2):
        bank ^= address >> bit & 3
    return address & ~(3 << 12) | bank << 12


async def fetch(host, at, size):
    size = -(-size // 64) * 64
    place = host.allocate(size)
    await host.run(READ, (place, at, size))
    return host.memory.mem[place : place + size]


async def transform(host, rng):
    log2n, inverse, shift = rng.randrange(0, 7), rng.random() < 0.5, rng.choice([None, "coset", "odd"])
    values = [rng.randrange(field.R) for _ in range(1 << log2n)]
    await send(host, SOURCE, b"".join(map(field.fr_image, values)))
    flags = INVERSE * inverse | {None: 0, "coset": COSET, "odd": ODD}[shift]
    await host.run(NTT, (SOURCE, DESTINATION, SCRATCH), flags=flags, log2n=log2n)
    image = await fetch(host, DESTINATION, 32 << log2n)
    got = [field.fr_value(image[32 * i : 32 * i + 32]) for i in range(1 << log2n)]
    assert got == field.transform(values, inverse, shift), f"NTT of 2^{log2n}, inverse {inverse}, {shift}"


async def msm(host, rng):
    group = rng.choice([MSM_G1, MSM_G2])
    n, full, window_bits = rng.randrange(1, 40), rng.random() < 0.5, rng.choice([0, 0, 4, 7])
    factors = [rng.randrange(len(POINTS[group])) for _ in range(n)]
    scalars = [rng.choice([0, 1, field.R - 1, rng.randrange(field.R)]) for _ in range(n)]
    points = b"".join(field.images(c) for f in factors for c in POINTS[group][f])
    await send(host, BASES, points)
    await send(host, SCALARS, b"".join(map(field.fr_image, scalars)))
    await host.run(group, (BASES, SCALARS, n, RESULT), flags=FULL_SCALARS * full, window_bits=window_bits)
    degree = len(points) // (2 * 48 * n)
    image = await fetch(host, RESULT, 3 * 48 * degree)
    elements = [field.fp_value(image[48 * i : 48 * i + 48]) for i in range(3 * degree)]
    x, y, z = elements if degree == 1 else zip(elements[::2], elements[1::2])
    total = sum((f + 1) * s for f, s in zip(factors, scalars)) % field.R
    expected = field.multiply(GENERATORS[group], total)
    if expected is None:
        assert z in (0, (0, 0)), f"sum of {n} is not infinity"
    else:
        right = z not in (0, (0, 0)) and (x, y) == tuple(field.mul(c, z) for c in expected)
        assert right, f"sum {group:#x} of {n}, full {full}"


async def quotient(host, rng):
    n, product = rng.randrange(1, 100), rng.random() < 0.5
    a, b, c = ([rng.randrange(field.R) for _ in range(n)] for _ in range(3))
    z = rng.randrange(field.R)
    for at, values in ((SOURCE, a), (DESTINATION, b), (SCRATCH, c), (SCALARS, [z])):
        await send(host, at, b"".join(map(field.fr_image, values)))
    await host.run(QUOTIENT, (SOURCE, DESTINATION, SCRATCH, RESULT, n, SCALARS), flags=PRODUCT * product)
    image = await fetch(host, RESULT, 32 * n)
    got = [field.fr_value(image[32 * i : 32 * i + 32]) for i in range(n)]
    if product:
        c, z = [0] * n, 1
    assert got == [(x * y - w) * z % field.R for x, y, w in zip(a, b, c)], f"quotient of {n}, product {product}"


async def fill(host, rng):
    size, word = 64 * rng.randrange(1, 300), rng.getrandbits(64)
    await send(host, SOURCE, bytes(rng.randbytes(size + 64)))
    before = await fetch(host, SOURCE, size + 64)
    await host.run(FILL, (word, SOURCE, size))
    after = await fetch(host, SOURCE, size + 64)
    assert after == word.to_bytes(8, "little") * (size // 8) + before[size:], f"{size} bytes filled"


async def broken_chain(host, rng):
    """What follows a failure in its chain does not run; what follows the chain does."""
    word = rng.getrandbits(64)
    await host.run(FILL, (word, RESULT, 64))
    await host.run(FILL, (2**64 - 1, SCALARS, 64))
    await host.submit(FILL, (word, SOURCE, 64), flags=LINK)
    await host.submit(rng.choice([MSM_G1, MSM_G2]), (BASES, SCALARS, 1, RESULT), flags=LINK)
    await host.submit(FILL, (~word % 2**64, SOURCE, 64))
    await host.submit(FILL, (word, DESTINATION, 64))
    assert [await host.complete() for _ in range(4)] == [0, BAD_SCALAR, LINK_BROKEN, 0]
    for at in (SOURCE, DESTINATION, RESULT):
        assert await fetch(host, at, 64) == word.to_bytes(8, "little") * 8


async def cut_off(host, rng):
    """A card that is reset while it moves data begins anew, whatever the buses still answer."""
    size = 64 * rng.randrange(1, 200)
    opcode = rng.choice([WRITE, READ])
    await host.submit(opcode, (host.allocate(size), SOURCE, size))
    await ClockCycles(host.dut.clk_i, rng.randrange(1, 400))
    await host.reset()
    assert await host.read(STATUS) == 0
    await host.enable()


@cocotb.test()
async def random_jobs(dut):
    rng = random.Random(SEED)
    cocotb.start_soon(Clock(dut.clk_i, 4, "ns").start())
    host = Host(dut, rng.random())
    await host.power_on()
    host.stall(rng.choice([0.0, 0.2, 0.5]))
    await host.enable()
    for job in range(JOBS):
        await rng.choice([transform, msm, msm, quotient, fill, broken_chain])(host, rng)
        if rng.random() < 0.5:
            await cut_off(host, rng)
    # No bus answered what was never asked for.
    assert await host.read(STATUS) == 1
    while not dut.bus_idle_o.value:
        await ClockCycles(dut.clk_i, 1)
    dut._log.info(f"{JOBS} jobs of seed {SEED} are right")
