"""Bytes reach memory, once and in order, and nothing else does."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence.storer import Storer
from hw.spec.axi4 import WRITES
from tests.unit.hw.bus.memory import AxiMemory
from tests.unit.hw.sequence.cores import params

BUSES = (32, 128, 512)


class Bench:
    """A storer and device memory."""

    def __init__(self, bus, *, seed=None, latency=1):
        self.dut = Storer(params(bus))
        self.octets = bus // 8
        self.memory = AxiMemory(self.dut.axi, seed=seed, latency=latency)
        self.rng = random.Random(seed)
        self.taken = []

    def draw(self):
        """Return an address, often that of a neighbour, and a byte."""
        base = self.rng.choice((0x1000, 0xFFFF_FFC0, self.rng.randrange(1 << 32)))
        return (base + self.rng.randrange(64)) % (1 << 32), self.rng.randrange(256)

    async def offer(self, ctx, address, octet, *, patience=1000):
        """Offer a byte; return whether it was taken."""
        dut = self.dut
        ctx.set(dut.octets.payload, {"address": address, "octet": octet})
        ctx.set(dut.octets.valid, 1)
        taken = False
        while patience and not taken:
            taken = ctx.get(dut.octets.ready)
            await self.tick(ctx)
            patience -= 1
        ctx.set(dut.octets.valid, 0)
        if taken:
            self.taken.append((address, octet))
            assert not ctx.get(dut.stored)
        return taken

    async def tick(self, ctx):
        """Check what must hold in every cycle."""
        if ctx.get(self.dut.stored):
            assert self.memory.written == self.taken and self.memory.due == 0
        assert self.memory.due <= WRITES
        await ctx.tick()

    async def settle(self, ctx):
        """Await that all is stored."""
        for _ in range(1000):
            if ctx.get(self.dut.stored):
                break
            await self.tick(ctx)
        assert self.memory.written == self.taken and self.memory.due == 0

    def run(self, bench):
        """Simulate."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_process(self.memory.serve_writes)
        simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("seed", [1, 2])
def test_bytes(bus, seed):
    """Bytes in bursts and alone, over a memory that pauses on every channel."""
    test = Bench(bus, seed=seed, latency=20)

    async def bench(ctx):
        assert ctx.get(test.dut.stored)
        for _ in range(12):
            for _ in range(test.rng.randint(1, 30)):
                assert await test.offer(ctx, *test.draw())
            await test.settle(ctx)

    test.run(bench)


def test_rate():
    """A byte a cycle while memory answers within the writes that may wait."""
    test = Bench(128, latency=3)

    async def bench(ctx):
        await test.tick(ctx)
        for i in range(100):
            assert await test.offer(ctx, 77 + i, i, patience=1)
        await test.settle(ctx)

    test.run(bench)


@pytest.mark.parametrize("bus", BUSES)
def test_errors_and_aborts(bus):
    """Both end in silence, and only an error that is not aborted is told."""
    test = Bench(bus, seed=bus, latency=20)

    async def bench(ctx):
        dut = test.dut
        for number in range(30):
            aborts = number % 2
            address, octet = test.draw()
            if number % 3:
                test.memory.errors = {address - address % test.octets: test.rng.choice((2, 3))}
            bad = bool(test.memory.errors)
            for _ in range(test.rng.randrange(8)):
                await test.offer(ctx, address ^ 0x8000, octet, patience=3)
            await test.offer(ctx, address, octet)
            for _ in range(test.rng.randrange(8)):
                await test.offer(ctx, address ^ 0x8000, octet, patience=3)
            if aborts and not ctx.get(dut.failed):
                ctx.set(dut.abort, 1)
                assert not ctx.get(dut.failed)
                await ctx.tick()
                ctx.set(dut.abort, 0)
                assert ctx.get(dut.draining)
            failures, waited = 0, 0
            while not ctx.get(dut.stored):
                failures += ctx.get(dut.failed)
                assert waited < 500
                await test.tick(ctx)
                waited += 1
            assert not ctx.get(dut.draining) and not ctx.get(dut.failed)
            assert aborts or failures == bad
            assert not (aborts and failures)
            assert test.memory.written == test.taken and test.memory.due == 0
            test.memory.errors = {}

    test.run(bench)
