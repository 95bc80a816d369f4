"""Scalars of each vector, set one group at a time."""

import random

import pytest
from amaranth.sim import Simulator

from hw.vector.scalars import GROUPS, Scalars, VectorScalars
from tests.unit.hw.vector.steps import params


def anything(rng):
    return Scalars(
        shift=rng.randint(-64, 63),
        multiplier=rng.randrange(1 << 16),
        exponent=rng.randint(-32, 31),
        base=rng.randrange(16),
        gain=rng.randrange(1 << 16),
        gain_shift=rng.randint(-64, 63),
    )


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_scalars(batch):
    """Each group keeps its own; bases are those of the encoder at the moment."""
    rng, dut = random.Random(batch), VectorScalars(params(4, batch=batch))
    kept = [Scalars()] * batch

    async def bench(ctx):
        for _ in range(200):
            vector, given = rng.randrange(batch), anything(rng)
            chosen = [group for group in GROUPS if rng.random() < 0.5]
            bases = [rng.randrange(16) for _ in range(batch)]
            ctx.set(dut.vector, vector)
            ctx.set(dut.given, given._asdict())
            ctx.set(dut.bases, bases)
            for group in GROUPS:
                ctx.set(getattr(dut, f"set_{group[0]}"), group in chosen)
            await ctx.tick()
            names = [name for group in chosen for name in group]
            kept[vector] = kept[vector]._replace(**{name: getattr(given, name) for name in names})
            asked = rng.randrange(batch)
            ctx.set(dut.asked, asked)
            expected = kept[asked]._replace(base=bases[asked])
            assert Scalars(*(ctx.get(dut.scalars[name]) for name in Scalars._fields)) == expected

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
