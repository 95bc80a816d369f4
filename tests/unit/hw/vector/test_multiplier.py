import random

import pytest
from amaranth.hdl import Module, Shape, Signal, signed, unsigned
from amaranth.sim import Simulator

from hw.vector.multiplier import SMALL_BITS, Multiplier, latency, times

SHAPES = [
    (signed(48), unsigned(16), 3),
    (signed(24), signed(24), 3),
    (unsigned(20), signed(25), 3),
    (unsigned(34), unsigned(33), 3),
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


@pytest.mark.parametrize("b", [unsigned(1), signed(1), unsigned(4), signed(5), unsigned(5)])
@pytest.mark.parametrize("a", [unsigned(1), signed(1), signed(4), unsigned(3)])
def test_every_small_product(a, b):
    assert max(a.width, b.width) <= SMALL_BITS
    m, x, y = Module(), Signal(a), Signal(b)
    product = Signal(Shape(a.width + b.width, a.signed or b.signed))
    m.d.comb += product.eq(times(x, y))

    async def bench(ctx):
        for i in range(1 << a.width + b.width):
            ctx.set(x, i)
            ctx.set(y, i >> a.width)
            await ctx.delay(1e-9)
            assert ctx.get(product) == ctx.get(x) * ctx.get(y)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
