# amaranth: UnusedElaboratable=no
"""The buffer of a reader: full, but never too small for what is asked for."""

import random

import pytest
from amaranth.sim import Simulator

from hw.bus.burst_reader import BurstReader
from tests.unit.hw.bus.memory import AxiMemory
from tests.unit.hw.sequence.cores import params


@pytest.mark.parametrize(("longest", "depth"), [(1, 1), (1, 2), (4, 4), (4, 7), (16, 32)])
@pytest.mark.parametrize("share", [0.1, 0.9, 1])
def test_nothing_is_lost(longest, depth, share):
    """Beats wait in the buffer for whom takes them, and never on the bus."""
    rng = random.Random(depth)
    dut = BurstReader(params(32), longest=longest, depth=depth)
    memory = AxiMemory(dut.axi, latency=3)
    lengths = [rng.randint(1, longest) for _ in range(60)]
    bursts = [(256 * i, length) for i, length in enumerate(lengths)]
    expected = [
        (sum(memory.octet(address + 4 * i + k) << 8 * k for k in range(4)), i == length - 1)
        for address, length in bursts
        for i in range(length)
    ]
    seen = []

    async def send(ctx):
        for address, length in bursts:
            ctx.set(dut.bursts.payload, {"address": address, "length": length - 1})
            ctx.set(dut.bursts.valid, 1)
            await ctx.tick().until(dut.bursts.ready)
            ctx.set(dut.bursts.valid, 0)

    async def take(ctx):
        waited = 0
        while len(seen) < len(expected):
            ready = rng.random() < share
            ctx.set(dut.beats.ready, ready)
            if ready and ctx.get(dut.beats.valid):
                beat = ctx.get(dut.beats.payload)
                seen.append((beat.data, beat.last))
                waited = 0
            assert len(memory.read) - len(seen) + memory.due <= depth + 1
            await ctx.tick()
            waited += 1
            assert waited < 500, "a beat is lost"

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_process(memory.serve_reads)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.run()
    assert seen == expected
    assert memory.refused == 0 and memory.due == 0


@pytest.mark.parametrize("when", range(1, 16))
def test_abort(when):
    """What is offered meanwhile is not awaited; afterwards the whole buffer is there again."""
    depth = 5
    dut = BurstReader(params(32), longest=1, depth=depth)
    memory = AxiMemory(dut.axi, latency=12)

    async def bench(ctx):
        ctx.set(dut.bursts.valid, 1)
        await ctx.tick().repeat(when)
        ctx.set(dut.abort, 1)
        await ctx.tick()
        ctx.set(dut.abort, 0)
        cycles = taken = 0
        while ctx.get(dut.draining):
            await ctx.tick()
            cycles += 1
            assert cycles < 30, "a beat is awaited that was not asked for"
        assert memory.due == 0
        ctx.set(dut.bursts.p.address, 256)
        for _ in range(60):
            taken += ctx.get(dut.bursts.ready)
            await ctx.tick()
        assert taken == depth and memory.due == 0
        ctx.set(dut.bursts.valid, 0)
        ctx.set(dut.beats.ready, 1)
        seen = []
        for _ in range(20):
            if ctx.get(dut.beats.valid):
                seen.append(ctx.get(dut.beats.p.data))
            await ctx.tick()
        assert seen == depth * [sum(memory.octet(256 + k) << 8 * k for k in range(4))]

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_process(memory.serve_reads)
    simulator.add_testbench(bench)
    simulator.run()


def test_refusal():
    message = "depth must hold the longest burst of 9 beats, not 8; raise it"
    with pytest.raises(ValueError, match=message):
        BurstReader(params(32), longest=9, depth=8)
