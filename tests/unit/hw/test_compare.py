"""Comparisons, of every pair of numbers of odd and of different widths."""

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from hw.compare import above, has_all


@pytest.mark.parametrize("widths", [(1, 1), (1, 4), (4, 4), (5, 3)])
def test_above(widths):
    m, (a, b), found = Module(), (Signal(signed(width)) for width in widths), Signal()
    m.d.comb += found.eq(above(a, b))

    async def testbench(ctx):
        for x in range(-(1 << widths[0] - 1), 1 << widths[0] - 1):
            for y in range(-(1 << widths[1] - 1), 1 << widths[1] - 1):
                ctx.set(a, x)
                ctx.set(b, y)
                await ctx.delay(1e-9)
                assert ctx.get(found) == (x > y), (x, y)

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("widths", [(1, 1), (4, 4), (5, 3)])
def test_has_all(widths):
    m, (a, b), found = Module(), (Signal(unsigned(width)) for width in widths), Signal()
    m.d.comb += found.eq(has_all(a, b))

    async def testbench(ctx):
        for x in range(1 << widths[0]):
            for y in range(1 << widths[1]):
                ctx.set(a, x)
                ctx.set(b, y)
                await ctx.delay(1e-9)
                assert ctx.get(found) == (x & y == y), (x, y)

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
