"""The ring keeps groups apart while one side runs ahead of the other."""

import random

import pytest
from amaranth.sim import Simulator

from hw.spec.cycles import MEMORY_LATENCY
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.port import HEAD_PLACES
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
        {place: draw.getrandbits(32) for place in draw.sample(range(40), draw.randrange(1, 40))}
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
                ctx.set(dut.head, place < HEAD_PLACES)
                ctx.set(dut.place, place - (place >= HEAD_PLACES) * HEAD_PLACES)
                ctx.set(dut.data, word)
                late = draw.random() < 0.3  # completed by no beat
                ctx.set(dut.complete, i == len(group) - 1 and not late)
                ctx.set(dut.write, 1)
                await ctx.tick()
                ctx.set(dut.write, 0)
                if i == len(group) - 1 and late:
                    ctx.set(dut.complete, 1)
                    await ctx.tick()
                ctx.set(dut.complete, 0)
            written += 1

    async def read(ctx):
        nonlocal begun
        wanted = [(None, None)] * (MEMORY_LATENCY - 1)

        async def tick():
            await ctx.tick()
            for port, due in zip((dut.read.head_data, dut.read.data), wanted.pop(0), strict=True):
                assert due is None or ctx.get(port) == due
            for pulse in (dut.read.head_en, dut.read.en, dut.read.next):
                ctx.set(pulse, 0)

        for number, group in enumerate(kept):
            while draw.random() >= pace[1] or not ctx.get(dut.read.ready):
                wanted.append((None, None))
                await tick()
            assert written >= number
            for i in range(5):
                places = draw.choice(list(group)), draw.choice(list(group))
                head, row = places[0] < HEAD_PLACES, places[1] >= HEAD_PLACES
                ctx.set(dut.read.next, i == 0)
                ctx.set(dut.read.head_en, head)
                ctx.set(dut.read.en, row)
                if head:
                    ctx.set(dut.read.head_place, places[0])
                if row:
                    ctx.set(dut.read.place, places[1] - HEAD_PLACES)
                begun += i == 0
                wanted.append(
                    (group[places[0]] if head else None, group[places[1]] if row else None)
                )
                await tick()
        assert not ctx.get(dut.read.ready)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(fill)
    simulator.add_testbench(read)
    simulator.run()
    assert begun == GROUPS
