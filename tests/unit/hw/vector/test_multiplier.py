import random

import pytest
from amaranth.hdl import Shape, signed, unsigned
from amaranth.sim import Simulator

from hw.vector.multiplier import Multiplier, latency

SHAPES = [
    (signed(48), unsigned(16), 3),
    (signed(24), signed(24), 3),
    (signed(24), signed(16), 2),
    (signed(18), unsigned(17), 1),
    (unsigned(35), signed(2), 3),
    (unsigned(1), signed(1), 1),
]


def _values(shape, rng):
    span = 1 << shape.width
    least = -span // 2 if shape.signed else 0
    return [least, least + span - 1, 0, *(least + rng.randrange(span) for _ in range(5))]


@pytest.mark.parametrize(("a", "b", "cycles"), SHAPES)
def test_products(a, b, cycles):
    rng = random.Random(a.width)
    pairs = [(x, y) for x in _values(Shape.cast(a), rng) for y in _values(Shape.cast(b), rng)]
    dut = Multiplier(a=a, b=b)
    assert latency(a, b) == cycles

    async def bench(ctx):
        for i in range(len(pairs) + cycles):
            if i >= cycles:
                x, y = pairs[i - cycles]
                assert ctx.get(dut.product) == x * y
            if i < len(pairs):
                ctx.set(dut.a, pairs[i][0])
                ctx.set(dut.b, pairs[i][1])
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
