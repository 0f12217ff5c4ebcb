"""The host's side of the card: its registers and queues, and the memories behind its buses, all by cocotbext-axi."""

import random

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiReadBus, AxiSlave, AxiSlaveRead, MemoryRegion

BEAT = 64
LANES = 4
DEPTH_LOG2 = 4
DEPTH = 1 << DEPTH_LOG2

CTRL, STATUS = 0x100, 0x104
QUEUE, DOORBELL = 0x1000, 0x2000
SQ_BASE, CQ_BASE, LOG2_DEPTH, QUEUE_CTRL = 0x00, 0x08, 0x10, 0x14

# How long one command may take, in simulated time.
PATIENCE_US = 2000


class AfterData:
    """Holds a write channel's requests back until data of theirs has been offered: AXI4 (A3.3.1) lets a memory do so.

    The bus takes data meanwhile, so what counts is whether the burst of the next request has begun.
    """

    def __init__(self, dut, prefix, channel):
        self.channel = channel
        signal = lambda name: getattr(dut, f"{prefix}_{name}")
        self.aw, self.w = [(signal(f"{c}valid"), signal(f"{c}ready")) for c in ("aw", "w")]
        self.last = signal("wlast")
        channel.pause = True
        cocotb.start_soon(self.run(dut.clk_i))

    async def run(self, clock):
        begun = taken = 0  # bursts whose data has begun to pass, requests taken
        fresh = True  # the next beat of data begins a burst
        while True:
            await RisingEdge(clock)
            valid, ready = (bool(s.value) for s in self.w)
            if valid and ready:
                begun += fresh
                fresh = bool(self.last.value)
            taken += all(bool(s.value) for s in self.aw)
            offered = valid and not ready and fresh
            self.channel.pause = begun + offered <= taken


def pauses(rng, share):
    """In a share of the cycles, by spells."""
    while True:
        paused = rng.random() < share
        for _ in range(rng.choice([1, 1, 2, 5, 30])):
            yield paused


class Host:
    """One card with its two memories."""

    def __init__(self, dut, seed, host_bytes=1 << 20, card_bytes=1 << 22):
        self.dut = dut
        self.rng = random.Random(seed)
        self.memory = MemoryRegion(host_bytes)
        self.card = MemoryRegion(card_bytes)
        # The memories are reset with the buses, never with the card.
        reset = dict(reset=dut.bus_rst_ni, reset_active_level=False)
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, **reset)
        self.buses = {
            "m_axi_host": AxiSlave(AxiBus.from_prefix(dut, "m_axi_host"), dut.clk_i, target=self.memory, **reset),
            "m_axi_mem": AxiSlave(AxiBus.from_prefix(dut, "m_axi_mem"), dut.clk_i, target=self.card, **reset),
        }
        self.lanes = [
            AxiSlaveRead(AxiReadBus.from_prefix(dut, f"lane{l}"), dut.clk_i, target=self.card, **reset)
            for l in range(LANES)
        ]
        for model in (self.registers.write_if, self.registers.read_if, *self.models()):
            model.log.setLevel("WARNING")
        self.next_free = 0

    def models(self):
        for bus in self.buses.values():
            yield bus.write_if
            yield bus.read_if
        yield from self.lanes

    def stall(self, share):
        """Pauses on every channel of every bus. Every other write channel also waits for data before it takes a request."""
        for model in self.models():
            for name in ("aw", "w", "b", "ar", "r"):
                channel = getattr(model, f"{name}_channel", None)
                if channel is not None:
                    channel.set_pause_generator(pauses(random.Random(self.rng.random()), share))
        for prefix in self.rng.sample(sorted(self.buses), 1):
            channel = self.buses[prefix].write_if.aw_channel
            channel.clear_pause_generator()
            AfterData(self.dut, prefix, channel)

    async def power_on(self):
        self.dut.bus_rst_ni.value = 0
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, 8)
        self.dut.bus_rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 2)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 4)

    async def reset(self):
        """The card alone, for so short a time that what was under way on the buses may still be."""
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, self.rng.choice([2, 5, 100]))
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 4)

    async def write(self, offset, value):
        await self.registers.write(offset, value.to_bytes(4, "little"))

    async def read(self, offset):
        return int.from_bytes((await self.registers.read(offset, 4)).data, "little")

    def allocate(self, size):
        """Whole beats of host memory, each once until it has all been used."""
        size = -(-size // BEAT) * BEAT
        if self.next_free + size > self.memory.size:
            self.next_free = 0
        at, self.next_free = self.next_free, self.next_free + size
        return at

    async def enable(self):
        """Controller and I/O queue 1."""
        self.next_free = 0
        self.submission = self.allocate(DEPTH * BEAT)
        self.completion = self.allocate(DEPTH * BEAT // 2)
        self.memory.mem[self.completion : self.completion + DEPTH * BEAT // 2] = bytes(DEPTH * BEAT // 2)
        self.tail = self.head = 0
        self.phase = 1
        await self.write(CTRL, 1)
        base = QUEUE + 0x40
        await self.write(base + SQ_BASE, self.submission)
        await self.write(base + SQ_BASE + 4, 0)
        await self.write(base + CQ_BASE, self.completion)
        await self.write(base + CQ_BASE + 4, 0)
        await self.write(base + LOG2_DEPTH, DEPTH_LOG2)
        await self.write(base + QUEUE_CTRL, 1)

    async def submit(self, opcode, operands, flags=0, log2n=0, window_bits=0):
        word = opcode | flags << 8 | self.tail << 16 | log2n << 32 | window_bits << 40
        entry = b"".join(w.to_bytes(8, "little") for w in (word, *operands)).ljust(BEAT, b"\0")
        at = self.submission + self.tail * BEAT
        self.memory.mem[at : at + BEAT] = entry
        self.tail = (self.tail + 1) % DEPTH
        await self.write(DOORBELL + 8, self.tail)

    async def complete(self):
        """The status of the next completion."""
        at = self.completion + self.head * (BEAT // 2)

        async def arrived():
            while self.memory.mem[at + 30] & 1 != self.phase:
                await RisingEdge(self.dut.clk_i)

        await with_timeout(arrived(), PATIENCE_US, "us")
        status = int.from_bytes(self.memory.mem[at + 30 : at + 32], "little") >> 1
        self.head = (self.head + 1) % DEPTH
        self.phase ^= self.head == 0
        await self.write(DOORBELL + 12, self.head)
        return status

    async def run(self, *command, **fields):
        await self.submit(*command, **fields)
        status = await self.complete()
        assert status == 0, f"command {command} ends with status {status:#x}, STATUS {await self.read(STATUS):#x}"
