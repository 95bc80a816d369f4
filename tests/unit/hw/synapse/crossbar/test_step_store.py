"""Steps of several blocks add up, and are shown in the order of time while others come."""

from collections import defaultdict

import numpy as np
from amaranth.sim import Simulator

from hw.spec.crossbar import PRESETS
from hw.spec.crossbar_cycles import LARGEST, SWEEP, array_interval
from hw.synapse.crossbar.delay import LongDelay
from hw.synapse.crossbar.step_store import COARSE, StepStore

CROSSBAR = PRESETS["ideal"].replace(rows=256, signs="phases", wire=1e-4)


def _steps(rng, arrays):
    """Steps of each array, as cycles at which none, or a place and what it brings."""
    for number in range(arrays):
        places = [*range(1, LARGEST + 1), *(COARSE + level for level in range(1, 17))]
        few = rng.choice(places, [1, 5, 40][number % 3])
        yield [
            (int(place), [int(v) for v in rng.integers(0, 500, 8)], int(rng.integers(1 << 32)))
            for place in rng.choice(few, 60)
            if rng.random() < 0.8
        ]


def test_arrays_follow_each_other():
    rng = np.random.default_rng(2)
    dut, expected, got = StepStore(CROSSBAR, 1), [], []
    arrays = list(_steps(rng, 6))
    for steps in arrays:
        totals, words = defaultdict(lambda: np.zeros(8, int)), defaultdict(int)
        for place, values, word in steps:
            totals[place] += values
            words[place] ^= word
        order = sorted(totals, reverse=True)
        expected.append([(place, *totals[place].tolist(), words[place]) for place in order])

    async def bench(ctx):
        for steps in arrays:
            since = 0
            for number, (place, values, word) in enumerate(steps):
                last = number == len(steps) - 1
                while rng.random() < 0.2 or (last and since < array_interval(CROSSBAR) - 1):
                    await ctx.tick()
                    since += 1
                ctx.set(dut.ends, last)
                ctx.set(dut.closed, 1)
                ctx.set(dut.place, place)
                ctx.set(
                    dut.step,
                    {
                        "column_0_0_0": [values[:4], values[4:]],
                        "column_0_0_1": [values[4:], values[:4]],
                        "raised": [1, 0],
                        "lines": word,
                    },
                )
                await ctx.tick()
                ctx.set(dut.closed, 0)
                ctx.set(dut.ends, 0)
                since += 1
        await ctx.tick().repeat(SWEEP + 5)

    async def watch(ctx):
        place = 0
        async for _, _, item, shown, kept in ctx.tick().sample(dut.item, dut.shown, dut.kept):
            if shown:
                parts = [*kept.column_0_0_0[0], *kept.column_0_0_0[1]]
                got[-1].append((place, *parts, kept.lines))
                assert [*kept.column_0_0_1[1], *kept.column_0_0_1[0]] == parts
            if item.row:
                place = SWEEP - 1 if not place else place - 1
                if place == SWEEP - 1:
                    got.append([])
                assert item.last == (place == 0) and item.times16 == (place == COARSE)
                assert item.restart == (not item.gap) == (place in (0, COARSE))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(watch)
    simulator.run()
    assert got == expected


def test_long_delay():
    """As long as asked for, and nothing from before the reset."""
    for cycles in (2, 3, 17):
        dut, values = LongDelay(8, cycles), list(range(1, 60))
        got = []

        async def bench(ctx, dut=dut, values=values, got=got):
            for value in values:
                ctx.set(dut.value, value)
                got.append(ctx.get(dut.later))
                await ctx.tick()

        simulator = Simulator(dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(bench)
        simulator.run()
        assert got == [0] * cycles + values[:-cycles]
