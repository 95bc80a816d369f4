"""Emulated crossbars: whole vectors at any pace, equal to the golden model, noise included."""

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator

from hw.integrate.beat import SPIKE_FIELDS, beat_layout
from hw.spec.codes import BLOCK
from hw.spec.crossbar import PRESETS
from hw.spec.crossbar_cycles import array_interval
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.crossbar.lanes import CrossbarLanes
from sw.golden.crossbar import CrossbarArrays
from sw.golden.sums import windows
from tests.scenario.lanes import nibbles
from tests.scenario.vectors import Vector, random_vectors
from tests.unit.golden.test_crossbar import EXACT, WORST

SMALL = WORST.replace(pulses=2)

#: Arrays, and lanes of the core.
CASES = {
    "ideal": (EXACT[1], 3),
    "offset": (SMALL.replace(mapping="offset"), 2),
    "matterhorn": (PRESETS["matterhorn"], 1),
    "ye2023": (PRESETS["ye2023"].replace(clip=True), 1),
    "window": (SMALL.replace(signs="phases", readout="window", pulses=1), 1),
    "tall": (SMALL.replace(rows=256, signs="phases", pulses=1), 1),
}


def _shown(vector, weights, tiles, lanes, rng, shared):
    """Beats of all tiles with their weights, and the groups that end."""
    items, blocks = vector.items("spike"), len(vector.encoded.scales)
    coarse, fine = (part[0].abs().tolist() for part in windows(vector.encoded.unsqueezed()))
    for tile in range(tiles):
        block, fired = 0, set()
        for item in items:
            ends = item["ends_group"]
            group = {"code_sum": block, "last": int(block == blocks - 1)} if ends else {}
            block += ends
            row = rng.integers(-8, 8, lanes)
            if not item["empty"]:
                row = weights[block * BLOCK + item["row"], tile * lanes : (tile + 1) * lanes]
            flags = {name: item[name] for name in SPIKE_FIELDS}
            if shared > 1:
                place = block, item["row"]
                first = bool(not item["empty"] and place not in fired and coarse[block][place[1]])
                level = 0 if item["empty"] else (coarse if first else fine)[block][place[1]]
                flags |= {"level": level, "coarse": int(first)}
                fired |= set() if item["empty"] else {place}
            yield {"row": 1, "last": ends, "group": group, "line": item["row"], **flags}, row


@pytest.mark.parametrize(("crossbar", "lanes"), CASES.values(), ids=CASES)
def test_sums_and_counters(crossbar, lanes):
    rng = np.random.default_rng(11)
    params = CoreParams(
        CoreConfig(lanes=lanes, max_outputs=2 * lanes, integrator="spike", crossbar=crossbar)
    )
    dut, layout, expected, counts, got = CrossbarLanes(params), beat_layout(params), [], [], []
    products = []
    vectors = random_vectors(rng, 2)
    if params.shared > 1:
        vectors.append(Vector(rng, 300))  # an array that is full, and one that is not
    for number, vector in enumerate(vectors):
        tiles, first = 1 + number % 2, number
        blocks = len(vector.encoded.scales)
        weights = rng.integers(-8, 8, (blocks * BLOCK, tiles * lanes))
        shared = params.shared
        padded = np.zeros((blocks * BLOCK, (first + tiles) * lanes), np.int64)
        padded[:, first * lanes :] = weights
        arrays = CrossbarArrays(torch.from_numpy(padded), crossbar, number=number, lanes=lanes)
        sums, activity = arrays.group_sums(vector.encoded.unsqueezed())
        for tile in range(first, first + tiles):
            for block in range(blocks):
                values = sums[block // shared, 0, tile * lanes : (tile + 1) * lanes]
                if block + 1 < blocks and (block + 1) % shared:
                    values = torch.zeros_like(values)  # the array is not over
                expected.append((block, int(block == blocks - 1), *values.tolist()))
        counts.append([tiles * n for n in (activity.steps, activity.readings * lanes)])
        counts[-1].append(tiles * activity.lines)
        products.append((number, first, list(_shown(vector, weights, tiles, lanes, rng, shared))))

    async def bench(ctx):
        for (number, first, beats), wanted in zip(products, counts, strict=True):
            ctx.set(dut.array, {"matrix": number, "tile": first})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            blocks, since = 0, array_interval(crossbar)
            for beat, row in beats:
                blocks += bool(beat["last"])
                fills = beat["last"] and (beat["group"]["last"] or not blocks % params.shared)
                blocks = 0 if fills and beat["group"]["last"] else blocks
                while rng.random() < 0.2 or (fills and since < array_interval(crossbar) - 1):
                    since += 1
                    ctx.set(dut.beat, {"row": 0, "line": 9, "gap": 1, "last": 1})
                    await ctx.tick()
                ctx.set(dut.beat, layout.const(beat))
                ctx.set(dut.weights, nibbles(row))
                await ctx.tick()
                since = 0 if fills else since + 1
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
