"""Bursts of the fetcher against the rules that they must keep."""

import random

import pytest
from amaranth.sim import Simulator

from hw.spec.axi4 import BOUNDARY, LONGEST
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.fetch import Fetcher, page_beats

TILES = 3
BASE = 13

#: Lanes, and bits of the bus: as many as a beat has, or fewer.
WIDTHS = [(8, 32), (128, 512), (256, 1024), (64, 32), (256, 32)]


def _runs(beats):
    """Runs of neighbours in a sorted list: (first, length)."""
    runs = []
    for beat in beats:
        if runs and beat == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((beat, 1))
    return runs


def _expected(masks, head, page, early):
    """Bursts (address, beats, place, last) of all tiles; an early head is not joined by rows."""
    base = BASE
    for mask, alone in zip(TILES * masks, early, strict=True):
        rows = [head + row for row in range(32) if mask >> row & 1]
        runs = [(0, head), *_runs(rows)] if alone else _runs([*range(head), *rows])
        bursts = []
        for first, length in runs:
            while length:
                count = min(length, page - (base + first) % page)
                bursts.append((base + first, count, first))
                first, length = first + count, length - count
        if alone and not rows:
            bursts.append((base, 0, 0))
        for burst in bursts:
            yield *burst, burst is bursts[-1]
        base += head + 32


@pytest.mark.parametrize(("lanes", "width"), WIDTHS)
@pytest.mark.parametrize("head", [1, 4, 8])
@pytest.mark.parametrize("idle", [0, 0.5], ids=["dense", "idle"])
def test_bursts(lanes, width, head, idle):
    """Runs of neighbours, cut at 4 KB or 256 bus beats; groups wait for room, rows for masks."""
    config = CoreConfig(
        lanes=lanes, memory_beats=1000, max_inputs=192, memory="axi", axi_data_width=width
    )
    params = CoreParams(config)
    assert page_beats(params) == min(BOUNDARY, LONGEST * width // 8) * 2 // lanes
    dut = Fetcher(params)
    draw = random.Random(lanes + head)
    masks = [(1 << 32) - 1, 0, 1, 1 << 31, 0x55555555, draw.getrandbits(32)]
    seen, early = [], []

    async def bench(ctx):
        ctx.set(dut.head_beats, head)
        ctx.set(dut.tiles, TILES)
        ctx.set(dut.blocks, len(masks))
        ctx.set(dut.weight_base, BASE)
        ctx.set(dut.start, 1)
        asked = [0, 0]  # two cycles before, and one
        for _ in range(2500 if idle else 900):
            known, free = draw.random() >= idle, draw.random() >= idle
            ctx.set(dut.known, known)
            ctx.set(dut.free, free)
            ctx.set(dut.mask, {"fetched": masks[asked[0]], "rows": 3, "holes": 2})
            ctx.set(dut.bursts.ready, draw.random() >= idle)
            if ctx.get(dut.claim):
                assert free
                early.append(not known)
            if ctx.get(dut.bursts.valid) and ctx.get(dut.bursts.ready):
                burst = ctx.get(dut.bursts.p)
                seen.append((burst.address, burst.beats, burst.place, burst.last))
            asked = [asked[1], ctx.get(dut.block)]
            await ctx.tick()
            ctx.set(dut.start, 0)
        groups = TILES * len(masks)
        assert len(early) == groups
        assert ctx.get(dut.rows_read) == 3 * groups
        assert ctx.get(dut.beats_read) == (3 + head) * groups
        assert ctx.get(dut.beats_hole) == 2 * groups

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == list(_expected(masks, head, page_beats(params), early))
