"""Integrator lanes against the int64 dot product."""

import random

import numpy as np
import pytest

from hw.integrate.mac import MacLanes

EXTREMES = {"lowest": (-8, 255), "negative": (-8, -255), "highest": (7, -255)}


def _nibbles(row):
    return sum((int(w) & 15) << 4 * lane for lane, w in enumerate(row))


def _groups(lanes, seed):
    """Groups of weights (rows, lanes) and codes (rows,), extreme, empty and random."""
    rng = np.random.default_rng(seed)
    yield from ((np.full((32, lanes), w), np.full(32, c)) for w, c in EXTREMES.values())
    for rows in (0, 1, 5, 32, 0, 31):
        yield rng.integers(-8, 8, (rows, lanes)), rng.integers(-255, 256, rows)


@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_sums(params, simulate, idle):
    dut = MacLanes(params)
    groups = list(_groups(params.lanes, seed=params.lanes))
    random_idle = random.Random(7)

    async def rows(ctx):
        for number, (weights, codes) in enumerate(groups):
            items = list(zip(weights, codes, strict=True)) or [(np.full(params.lanes, 3), 0)]
            for i, (row, code) in enumerate(items):
                while random_idle.random() < idle:
                    ctx.set(dut.beat.row, 0)
                    await ctx.tick()
                ctx.set(dut.weights, _nibbles(row))
                ctx.set(dut.beat.row, 1)
                ctx.set(dut.beat.code, int(code))
                ctx.set(dut.beat.last, i == len(items) - 1)
                ctx.set(dut.beat.group.code_sum, number)
                await ctx.tick()
        ctx.set(dut.beat.row, 0)
        await ctx.tick().repeat(10)

    got = simulate(dut, rows, when=dut.handover, values=(dut.group.code_sum, *dut.sums))
    expected = [(number, *(codes @ weights)) for number, (weights, codes) in enumerate(groups)]
    assert got == expected
