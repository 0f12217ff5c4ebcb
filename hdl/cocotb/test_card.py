"""The whole card against cocotbext-axi: random jobs of WRITE, NTT, MSM and READ, with pauses on every channel and resets
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

WRITE, READ, MSM_G1, NTT = 0x10, 0x11, 0x20, 0x30
INVERSE, COSET, FULL_SCALARS, ODD = 2, 4, 8, 0x20
JOBS = int(os.environ.get("CARILLON_JOBS", "12"))
SEED = int(os.environ.get("CARILLON_SEED", "1"))

# Places in card memory.
SOURCE, DESTINATION, SCRATCH, BASES, SCALARS, RESULT = range(0, 6 << 16, 1 << 16)
# Multiples of the generator: a sum over them has one factor.
POINTS = [field.multiply(field.GENERATOR, factor) for factor in range(1, 9)]


async def send(host, at, data):
    data = data.ljust(-(-len(data) // 64) * 64, b"\0")
    place = host.allocate(len(data))
    host.memory.mem[place : place + len(data)] = data
    await host.run(WRITE, (place, at, len(data)))


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
    n, full, window_bits = rng.randrange(1, 40), rng.random() < 0.5, rng.choice([0, 0, 4, 7])
    factors = [rng.randrange(len(POINTS)) for _ in range(n)]
    scalars = [rng.choice([0, 1, field.R - 1, rng.randrange(field.R)]) for _ in range(n)]
    points = b"".join(field.fp_image(x) + field.fp_image(y) for x, y in (POINTS[f] for f in factors))
    await send(host, BASES, points)
    await send(host, SCALARS, b"".join(map(field.fr_image, scalars)))
    await host.run(MSM_G1, (BASES, SCALARS, n, RESULT), flags=FULL_SCALARS * full, window_bits=window_bits)
    image = await fetch(host, RESULT, 144)
    x, y, z = (field.fp_value(image[48 * i : 48 * i + 48]) for i in range(3))
    total = sum((f + 1) * s for f, s in zip(factors, scalars)) % field.R
    expected = field.multiply(field.GENERATOR, total)
    if expected is None:
        assert z == 0, f"MSM of {n} is not infinity"
    else:
        assert z != 0 and (x, y) == tuple(c * z % field.P for c in expected), f"MSM of {n}, full {full}"


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
        await rng.choice([transform, msm])(host, rng)
        if rng.random() < 0.5:
            await cut_off(host, rng)
    # No bus answered what was never asked for.
    assert await host.read(STATUS) == 1
    while not dut.bus_idle_o.value:
        await ClockCycles(dut.clk_i, 1)
    dut._log.info(f"{JOBS} jobs of seed {SEED} are right")
