"""Addresses of several vectors' outputs, tile by tile."""

import random

import pytest
from amaranth.sim import Simulator

from hw.vector.output_address import OutputAddress


@pytest.mark.parametrize("tile", [1, 4, 7])
def test_output_address(tile):
    rng, dut = random.Random(tile), OutputAddress()
    products = [(0, 1, 9, 5), (3, 5, 17, 17), (65500, 3, tile, 40), (7, 2, 3 * tile, 0)]

    async def bench(ctx):
        for first, vectors, count, stride in products:
            ctx.set(dut.first, first)
            ctx.set(dut.stride, stride)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for begin in range(0, count, tile):
                segment = range(begin, min(begin + tile, count))
                for vector in range(vectors):
                    for i in segment:
                        await ctx.tick().repeat(rng.randrange(1, 3))
                        assert ctx.get(dut.address) == (first + vector * stride + i) % (1 << 16)
                        ends = i == segment[-1]
                        ctx.set(dut.ends_segment, ends)
                        ctx.set(dut.ends_tile, ends and vector == vectors - 1)
                        ctx.set(dut.step, 1)
                        await ctx.tick()
                        ctx.set(dut.step, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
