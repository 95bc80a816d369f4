"""The ring keeps groups apart while one side runs ahead of the other."""

import random

import pytest
from amaranth.sim import Simulator

from hw.spec.cycles import MEMORY_LATENCY
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.ring import Ring

GROUPS = 60


@pytest.mark.parametrize("slots", [4, 5, 8])
@pytest.mark.parametrize(
    "pace", [(0.9, 0.2), (0.2, 0.9), (0.5, 0.5)], ids=["full", "empty", "even"]
)
def test_ring(slots, pace):
    """Beats in any order are those of their group; no group is read early or overwritten."""
    config = CoreConfig(lanes=8, memory_beats=300, memory="axi", ring_groups=slots)
    dut = Ring(CoreParams(config))
    draw = random.Random(slots)
    kept = [
        {place: draw.getrandbits(32) for place in draw.sample(range(40), draw.randrange(1, 9))}
        for _ in range(GROUPS)
    ]
    written, begun = 0, 0

    async def fill(ctx):
        nonlocal written
        for group in kept:
            while draw.random() >= pace[0] or not ctx.get(dut.free):
                await ctx.tick()
            assert written - max(begun - 1, 0) < slots
            ctx.set(dut.claim, 1)
            await ctx.tick()
            ctx.set(dut.claim, 0)
            for i, (place, word) in enumerate(group.items()):
                while draw.random() >= pace[0]:
                    await ctx.tick()
                ctx.set(dut.place, place)
                ctx.set(dut.data, word)
                ctx.set(dut.complete, i == len(group) - 1)
                ctx.set(dut.write, 1)
                await ctx.tick()
                ctx.set(dut.write, 0)
            written += 1

    async def read(ctx):
        nonlocal begun
        wanted = [None] * (MEMORY_LATENCY - 1)

        async def tick():
            await ctx.tick()
            due = wanted.pop(0)
            assert due is None or ctx.get(dut.read.data) == due
            ctx.set(dut.read.en, 0)
            ctx.set(dut.read.next, 0)

        for number, group in enumerate(kept):
            while draw.random() >= pace[1] or not ctx.get(dut.read.ready):
                wanted.append(None)
                await tick()
            assert written >= number
            for i, place in enumerate(draw.choices(list(group), k=5)):
                ctx.set(dut.read.en, 1)
                ctx.set(dut.read.next, i == 0)
                ctx.set(dut.read.place, place)
                begun += i == 0
                wanted.append(group[place])
                await tick()
        assert not ctx.get(dut.read.ready)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(fill)
    simulator.add_testbench(read)
    simulator.run()
    assert begun == GROUPS
