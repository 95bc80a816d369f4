"""The landing gives all items in order, at full rate, however its target waits."""

import random

import pytest

from hw.encode.landing import Landing


@pytest.mark.parametrize("seed", range(3))
def test_order(simulate, seed):
    dut = Landing(8)
    rng = random.Random(seed)
    sent, taken = [], []

    async def bench(ctx):
        coming = None
        for cycle in range(600):
            waits = cycle < 500 and rng.random() < (0.5, 0.1, 0.9)[seed]
            ctx.set(dut.target.ready, not waits)
            ctx.set(dut.source.valid, coming is not None)
            ctx.set(dut.source.payload, coming or 0)
            coming = None
            ctx.set(dut.sent, 0)
            if cycle < 500 and ctx.get(dut.room) and rng.random() < 0.9:
                coming = rng.randrange(256)
                sent.append(coming)
                ctx.set(dut.sent, 1)
            if ctx.get(dut.target.valid) and not waits:
                taken.append(ctx.get(dut.target.payload))
            await ctx.tick()
        assert not ctx.get(dut.target.valid)

    simulate(dut, bench)
    assert taken == sent
    assert len(sent) > 20


def test_full_rate(simulate):
    """Where the target never waits there is always room, and an item passes in two cycles."""
    dut = Landing(8)

    async def bench(ctx):
        ctx.set(dut.target.ready, 1)
        ctx.set(dut.sent, 1)
        for item in range(40):
            assert ctx.get(dut.room)
            assert ctx.get(dut.target.valid) == (item > 1)
            if item > 1:
                assert ctx.get(dut.target.payload) == item - 2
            await ctx.tick()
            ctx.set(dut.source.valid, 1)
            ctx.set(dut.source.payload, item)

    simulate(dut, bench)
