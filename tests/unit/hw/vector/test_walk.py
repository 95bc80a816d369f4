# amaranth: UnusedElaboratable=no
"""Places of a vector's beats."""

import pytest
from amaranth.sim import Simulator

from hw.vector.walk import Walk

COUNTS = (1, 3, 31, 33, 32, 2)


def expected(count, width):
    """Pairs of offset and the elements that are read from the beat's front."""
    return [(i, min(width, count - i)) for i in range(0, count, width)]


@pytest.mark.parametrize("width", [1, 2, 8])
def test_walk(width):
    dut = Walk(width=width)

    async def bench(ctx):
        for count in COUNTS:
            ctx.set(dut.begin, 1)
            ctx.set(dut.count, count)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            ctx.set(dut.count, 0)
            seen, last = [], False
            while not last:
                assert ctx.get(dut.places.valid)
                place = ctx.get(dut.places.payload)
                seen.append((place.offset, place.count))
                last = place.last
                await ctx.tick()
            assert seen == expected(count, width)
            assert not ctx.get(dut.places.valid)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
