"""AXI4-Lite slave and register file together, as a master sees them."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.bus.axi4_lite import OKAY, SLVERR, AXI4LiteSlave
from hw.bus.csr import ADDRESS_WIDTH, RegisterFile, constants
from hw.bus.window import WINDOW_LATENCY
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import REGISTERS, SPAN, Access, registers_of

PARAMS = CoreParams(CoreConfig())


class Master:
    """AXI4-Lite master that hesitates at random."""

    def __init__(self, ctx, axi, *, seed, idle):
        self._ctx, self._axi, self._idle = ctx, axi, idle
        self._random = random.Random(seed)

    async def _hesitate(self):
        while self._random.random() < self._idle:
            await self._ctx.tick()

    async def _send(self, valid, ready):
        self._ctx.set(valid, 1)
        while not self._ctx.get(ready):
            await self._ctx.tick()
        await self._ctx.tick()
        self._ctx.set(valid, 0)

    async def write(self, address, value, strobe=0xF):
        ctx, axi = self._ctx, self._axi
        await self._hesitate()
        ctx.set(axi.awaddr, address)
        ctx.set(axi.awvalid, 1)
        await self._hesitate()
        ctx.set(axi.wdata, value)
        ctx.set(axi.wstrb, strobe)
        await self._send(axi.wvalid, axi.wready)
        ctx.set(axi.awvalid, 0)
        return (await self._response(axi.bready, axi.bvalid, axi.bresp))[0]

    async def read(self, address):
        ctx, axi = self._ctx, self._axi
        await self._hesitate()
        ctx.set(axi.araddr, address)
        await self._send(axi.arvalid, axi.arready)
        return await self._response(axi.rready, axi.rvalid, axi.rresp, axi.rdata)

    async def read_many(self, address, count):
        """Ask and take the answers at the same time, each with pauses of its own."""
        ctx, axi = self._ctx, self._axi
        asked, answers = 0, []
        ctx.set(axi.araddr, address)
        while len(answers) < count:
            if not ctx.get(axi.arvalid):
                ctx.set(axi.arvalid, asked < count and self._random.random() >= self._idle)
            ctx.set(axi.rready, self._random.random() >= self._idle)
            taken = ctx.get(axi.arvalid) and ctx.get(axi.arready)
            if ctx.get(axi.rvalid) and ctx.get(axi.rready):
                answers.append((ctx.get(axi.rresp), ctx.get(axi.rdata)))
            await ctx.tick()
            if taken:
                asked += 1
                ctx.set(axi.arvalid, 0)
            assert len(answers) <= asked
        ctx.set(axi.rready, 0)
        for _ in range(12):
            assert not ctx.get(axi.rvalid)
            await ctx.tick()
        return answers

    async def _response(self, ready, valid, *answer):
        ctx = self._ctx
        while not ctx.get(valid):
            await ctx.tick()
        await self._hesitate()
        ctx.set(ready, 1)
        values = tuple(ctx.get(value) for value in answer)
        await ctx.tick()
        ctx.set(ready, 0)
        assert not ctx.get(valid)
        return values


def run(bench, *, idle=0.3):
    """Run ``bench(ctx, master, registers)``; return the control register in every cycle.

    The memories behind the windows answer with their address plus 7, `WINDOW_LATENCY` cycles later.
    """
    controls = []
    m = Module()
    m.submodules.slave = slave = AXI4LiteSlave(ADDRESS_WIDTH)
    m.submodules.registers = registers = RegisterFile(PARAMS)
    wiring.connect(m, slave.registers, registers.bus)
    for name in ("memory_data", "output_data"):
        window = getattr(registers, name)
        m.d.comb += window.readable.eq(1)
        word = window.address + 7
        for stage in range(WINDOW_LATENCY):
            later = Signal(32, name=f"{name}_{stage}")
            m.d.sync += later.eq(word)
            word = later
        m.d.comb += window.read_data.eq(word)
    for name in ("memory_data", "input_data"):
        m.d.comb += getattr(registers, name).writable.eq(1)

    async def testbench(ctx):
        await bench(ctx, Master(ctx, slave.axi, seed=3, idle=idle), registers)

    async def watch(ctx):
        async for _, _, value in ctx.tick().sample(registers.control.as_value()):
            controls.append(value)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.add_process(watch)
    simulator.run()
    return controls


def _of(*access):
    return [r for r in registers_of(crossbar=False).values() if r.access in access]


@pytest.mark.parametrize("idle", [0, 0.3], ids=["dense", "idle"])
def test_registers(idle):
    async def bench(ctx, master, registers):
        values = constants(PARAMS)
        for number, register in enumerate(_of(Access.R)):
            if register.name not in values:
                values[register.name] = 0x1234 * (number + 1)
                port = getattr(registers, register.name)
                ctx.set(getattr(port, "as_value", lambda p=port: p)(), values[register.name])
        for number, register in enumerate(_of(Access.RW)):
            values[register.name] = 0xFEDC1234 + number
            assert await master.write(register.address, values[register.name]) == OKAY
        for register in _of(Access.R, Access.RW):
            assert await master.read(register.address) == (OKAY, values[register.name])

    run(bench, idle=idle)


def test_refused():
    """Unmapped addresses, read-only registers and partial writes change nothing."""

    async def bench(ctx, master, registers):
        mapped = {register.address for register in registers_of(crossbar=False).values()}
        for address in set(range(0, SPAN, 4)) - mapped:
            assert await master.read(address) == (SLVERR, 0)
            assert await master.write(address, 1) == SLVERR
        for register in _of(Access.R):
            assert await master.write(register.address, 1) == SLVERR
        shape = REGISTERS["shape"].address
        assert await master.write(shape, 0x50003) == OKAY
        for strobe in (0x0, 0x1, 0x7, 0xE):
            assert await master.write(shape, 0, strobe) == SLVERR
        assert await master.read(shape) == (OKAY, 0x50003)

    run(bench)


def test_pulses():
    """A command acts for one cycle, only when it is written whole."""

    async def bench(ctx, master, registers):
        address = REGISTERS["control"].address
        assert await master.read(address) == (SLVERR, 0)
        for bits in (1, 2):
            assert await master.write(address, bits, strobe=0x3) == SLVERR
            assert await master.write(address, bits) == OKAY
        await ctx.tick().repeat(9)

    assert [value for value in run(bench) if value] == [1, 2]


def test_windows():
    """Addresses move on with every access that is allowed, and with no other."""

    async def bench(ctx, master, registers):
        memory, base = REGISTERS["memory_data"].address, REGISTERS["memory_address"].address
        await master.write(base, 40)
        for i in range(5):
            assert await master.read(memory) == (OKAY, 47 + i)
        assert await master.write(memory, 9) == OKAY
        assert await master.write(memory, 9, strobe=1) == SLVERR
        assert await master.read(base) == (OKAY, 46)

        inputs, outputs = REGISTERS["input_data"].address, REGISTERS["output_data"].address
        assert await master.read(inputs) == (SLVERR, 0)
        assert await master.write(outputs, 1) == SLVERR
        assert await master.write(inputs, 1) == OKAY
        assert await master.read(REGISTERS["input_address"].address) == (OKAY, 1)
        assert await master.read(REGISTERS["output_address"].address) == (OKAY, 0)

    run(bench)


@pytest.mark.parametrize("idle", [0, 0.3, 0.7], ids=["dense", "idle", "slow"])
def test_reads_follow_each_other(idle):
    """In order, without loss, whatever the master's pauses; writes between them see all of them."""

    async def bench(ctx, master, registers):
        memory, base = REGISTERS["memory_data"].address, REGISTERS["memory_address"].address
        for count in (1, 2, 7, 8, 9, 40):
            await master.write(base, 5 * count)
            answers = await master.read_many(memory, count)
            assert answers == [(OKAY, 5 * count + i + 7) for i in range(count)]
            assert await master.write(memory, 1) == OKAY
            assert await master.read(base) == (OKAY, 6 * count + 1)
        assert await master.read_many(REGISTERS["control"].address, 9) == [(SLVERR, 0)] * 9

    run(bench, idle=idle)


def test_a_read_a_cycle():
    async def bench(ctx, master, registers):
        axi = master._axi
        ctx.set(axi.arvalid, 1)
        ctx.set(axi.rready, 1)
        valid = []
        for _ in range(60):
            valid.append(ctx.get(axi.rvalid))
            await ctx.tick()
        first = valid.index(1)
        assert all(valid[first:])

    run(bench, idle=0)


def test_a_write_passes_answers_that_are_not_taken():
    async def bench(ctx, master, registers):
        ctx.set(master._axi.arvalid, 1)
        await ctx.tick().repeat(30)
        ctx.set(master._axi.arvalid, 0)
        assert await master.write(REGISTERS["shape"].address, 77) == OKAY
        assert ctx.get(registers.shape.as_value()) == 77

    run(bench, idle=0)


def test_an_instruction_cannot_be_changed_while_it_runs():
    async def bench(ctx, master, registers):
        guarded = [r for r in registers_of(crossbar=False).values() if r.guarded]
        assert len(guarded) == 8
        for busy, answer in ((0, OKAY), (1, SLVERR), (0, OKAY)):
            ctx.set(registers.status.busy, busy)
            for register in guarded:
                before = await master.read(register.address)
                assert await master.write(register.address, 99 + busy) == answer
                if busy:
                    assert await master.read(register.address) == before
            assert await master.write(REGISTERS["fault"].address, 1) == OKAY
        assert await master.read(REGISTERS["input_address"].address) == (OKAY, 2)

    run(bench)
