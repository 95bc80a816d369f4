"""Programs come instruction by instruction, ahead of their execution."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence.instruction_fetch import InstructionFetch
from hw.spec.program import INSTRUCTION_BYTES
from tests.unit.hw.bus.memory import AxiMemory
from tests.unit.hw.sequence.cores import params

BUSES = (32, 128, 512, 1024)


class Bench:
    """Instruction fetch and device memory."""

    def __init__(self, bus, *, seed=None, latency=1):
        self.dut = dut = InstructionFetch(params(bus))
        self.memory = AxiMemory(dut.axi, seed=seed, latency=latency)
        self.unit = max(bus // 8, INSTRUCTION_BYTES)
        self.rng = random.Random(seed)

    async def start(self, ctx, address):
        """Begin a program."""
        self.memory.read.clear()
        ctx.set(self.dut.address, address)
        ctx.set(self.dut.start, 1)
        await ctx.tick()
        ctx.set(self.dut.start, 0)

    async def take(self, ctx, address, count, *, stop=False):
        """Take instructions and check them, the last perhaps together with a stop."""
        dut = self.dut
        for i in range(count):
            waited = 0
            while not ctx.get(dut.instruction.valid):
                assert not ctx.get(dut.failed) and waited < 500
                await ctx.tick()
                waited += 1
            for _ in range(self.rng.choice((0, 0, 3, 40))):
                self._check(ctx, address + i * INSTRUCTION_BYTES)
                await ctx.tick()
            self._check(ctx, address + i * INSTRUCTION_BYTES)
            ctx.set(dut.instruction.ready, 1)
            ctx.set(dut.stop, stop and i == count - 1)
            await ctx.tick()
            ctx.set(dut.instruction.ready, 0)
            ctx.set(dut.stop, 0)

    def _check(self, ctx, address):
        assert ctx.get(self.dut.instruction.valid)
        expected = bytes(self.memory.octet(address + i) for i in range(INSTRUCTION_BYTES))
        seen = ctx.get(self.dut.instruction.payload.as_value())
        assert seen.to_bytes(INSTRUCTION_BYTES, "little") == expected

    async def drain(self, ctx):
        """Await the end of all reads; nothing must be offered."""
        waited = 0
        while ctx.get(self.dut.draining):
            assert not ctx.get(self.dut.instruction.valid) and waited < 500
            await ctx.tick()
            waited += 1
        assert self.memory.due == 0 and self.memory.refused == 0
        assert not ctx.get(self.dut.instruction.valid)

    def within(self, address, count):
        """Return whether all reads lay in a program, and shortly behind its instructions."""
        first = address - address % self.unit
        return all(
            first <= place < address + (count + 4) * INSTRUCTION_BYTES for place in self.memory.read
        )

    def run(self, bench):
        """Simulate."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_process(self.memory.serve_reads)
        simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("seed", [1, 2])
def test_programs(bus, seed):
    """Programs of any length at any place, one after the other, stopped in any state."""
    test = Bench(bus, seed=seed, latency=12)

    async def bench(ctx):
        for _ in range(15):
            address = INSTRUCTION_BYTES * test.rng.randrange(1 << 25)
            count = test.rng.randrange(9)
            await test.start(ctx, address)
            await test.take(ctx, address, count, stop=True)
            if not count:
                for _ in range(test.rng.randrange(30)):
                    await ctx.tick()
                ctx.set(test.dut.stop, 1)
                await ctx.tick()
                ctx.set(test.dut.stop, 0)
            assert ctx.get(test.dut.draining)
            await test.drain(ctx)
            assert test.within(address, count)

    test.run(bench)


@pytest.mark.parametrize("bus", BUSES)
def test_ahead(bus):
    """While an instruction is offered, the next arrives: it follows at once."""
    test = Bench(bus, latency=30)
    beats = 8 * INSTRUCTION_BYTES // bus or 1

    async def bench(ctx):
        await test.start(ctx, 640)
        for _ in range(5):
            for _ in range(100):
                await ctx.tick()
            assert ctx.get(test.dut.instruction.valid)
            ctx.set(test.dut.instruction.ready, 1)
            await ctx.tick()
            ctx.set(test.dut.instruction.ready, 0)
            for _ in range(beats):
                if ctx.get(test.dut.instruction.valid):
                    break
                await ctx.tick()
            assert ctx.get(test.dut.instruction.valid)

    test.run(bench)


@pytest.mark.parametrize("bus", BUSES)
def test_errors(bus):
    """An error counts when its instruction is due, and not if the program ends before."""
    test = Bench(bus, seed=5, latency=12)

    async def bench(ctx):
        for fails in (True, False) * 6:
            address = INSTRUCTION_BYTES * test.rng.randrange(1 << 25)
            count = test.rng.randrange(1, 9)
            bad = address + count * INSTRUCTION_BYTES
            if bus > 512:  # the error is that of two instructions
                count += (bad // INSTRUCTION_BYTES) % 2
                bad = address + count * INSTRUCTION_BYTES
            bad += test.rng.randrange(0, INSTRUCTION_BYTES, bus // 8) if bus < 512 else 0
            test.memory.errors = {bad: 2}
            await test.start(ctx, address)
            await test.take(ctx, address, count, stop=not fails)
            if fails:
                while not ctx.get(test.dut.failed):
                    assert not ctx.get(test.dut.instruction.valid)
                    await ctx.tick()
                assert test.memory.due == 0
                await ctx.tick()
            else:
                await test.drain(ctx)
            for _ in range(20):
                assert not ctx.get(test.dut.failed) and not ctx.get(test.dut.draining)
                assert not ctx.get(test.dut.instruction.valid)
                await ctx.tick()

    test.run(bench)
