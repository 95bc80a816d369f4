"""Emulated crossbars: whole vectors at any pace, equal to the golden model, noise included."""

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator

from hw.integrate.beat import SPIKE_FIELDS, beat_layout
from hw.spec.codes import BLOCK
from hw.spec.crossbar import PRESETS
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.crossbar.lanes import CrossbarLanes
from sw.golden.crossbar import CrossbarArrays
from tests.scenario.lanes import nibbles
from tests.scenario.vectors import random_vectors
from tests.unit.golden.test_crossbar import EXACT, WORST

SMALL = WORST.replace(pulses=2)

#: Arrays, and lanes of the core.
CASES = {
    "ideal": (EXACT[1], 3),
    "offset": (SMALL.replace(mapping="offset"), 2),
    "matterhorn": (PRESETS["matterhorn"], 1),
    "ye2023": (PRESETS["ye2023"].replace(clip=True), 1),
    "window": (SMALL.replace(signs="phases", readout="window", pulses=1), 1),
}


def _shown(vector, weights, tiles, lanes, rng):
    """Beats of all tiles with their weights, and the groups that end."""
    items, blocks = vector.items("spike"), len(vector.encoded.scales)
    for tile in range(tiles):
        block = 0
        for item in items:
            ends = item["ends_group"]
            group = {"code_sum": block, "last": int(block == blocks - 1)} if ends else {}
            block += ends
            row = rng.integers(-8, 8, lanes)
            if not item["empty"]:
                row = weights[block * BLOCK + item["row"], tile * lanes : (tile + 1) * lanes]
            flags = {name: item[name] for name in SPIKE_FIELDS}
            yield {"row": 1, "last": ends, "group": group, "line": item["row"], **flags}, row


@pytest.mark.parametrize(("crossbar", "lanes"), CASES.values(), ids=CASES)
def test_sums_and_counters(crossbar, lanes):
    rng = np.random.default_rng(11)
    params = CoreParams(
        CoreConfig(lanes=lanes, max_outputs=2 * lanes, integrator="spike", crossbar=crossbar)
    )
    dut, layout, expected, counts, got = CrossbarLanes(params), beat_layout(params), [], [], []
    products = []
    for number, vector in enumerate(random_vectors(rng, 2)):
        tiles, first = 1 + number % 2, number
        blocks = len(vector.encoded.scales)
        weights = rng.integers(-8, 8, (blocks * BLOCK, tiles * lanes))
        padded = np.zeros((blocks * BLOCK, (first + tiles) * lanes), np.int64)
        padded[:, first * lanes :] = weights
        arrays = CrossbarArrays(torch.from_numpy(padded), crossbar, number=number, lanes=lanes)
        sums, activity = arrays.group_sums(vector.encoded.unsqueezed())
        for tile in range(first, first + tiles):
            for block in range(blocks):
                values = sums[block, 0, tile * lanes : (tile + 1) * lanes]
                expected.append((block, int(block == blocks - 1), *values.tolist()))
        counts.append([tiles * n for n in (activity.steps, activity.readings * lanes)])
        counts[-1].append(tiles * activity.lines)
        products.append((number, first, list(_shown(vector, weights, tiles, lanes, rng))))

    async def bench(ctx):
        for (number, first, beats), wanted in zip(products, counts, strict=True):
            ctx.set(dut.array, {"matrix": number, "tile": first})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for beat, row in beats:
                while rng.random() < 0.2:
                    ctx.set(dut.beat, {"row": 0, "line": 9, "gap": 1, "last": 1})
                    await ctx.tick()
                ctx.set(dut.beat, layout.const(beat))
                ctx.set(dut.weights, nibbles(row))
                await ctx.tick()
            ctx.set(dut.beat, {"row": 0})
            await ctx.tick().repeat(dut.latency + 3)
            found = [dut.array_steps, dut.conversions, dut.lines_raised]
            assert [ctx.get(counter) for counter in found] == wanted

    async def watch(ctx):
        values = (dut.group.code_sum, dut.group.last, *dut.sums)
        async for _, _, valid, *sample in ctx.tick().sample(dut.handover, *values):
            if valid:
                got.append(tuple(sample))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(watch)
    simulator.run()
    assert got == expected
