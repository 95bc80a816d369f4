"""Tile engine against its address order, counters and the closed cycle formula."""

import random

import pytest
from amaranth.sim import Simulator

from hw.integrate.beat import SPIKE_FIELDS
from hw.integrate.tile_engine import TileEngine
from hw.spec.cycles import (
    MEMORY_LATENCY,
    REPLAY,
    group_interval,
    integrate_cycles,
)
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams

TILES = 3
BASE = 11
BLOCKS = [5, 0, 32, 1]


def _mac_items(draw):
    """Events of each block, the last of which hands it over."""
    for count in BLOCKS:
        rows = draw.sample(range(32), count) or [0]
        for i, row in enumerate(rows):
            event = {"row": row, "code": draw.randrange(-255, 256), "empty": count == 0}
            yield {**event, "last": i == len(rows) - 1}


def _spike_items(draw):
    """As many items up to each handover, the last of which is the next block's first."""
    for block, count in enumerate(BLOCKS):
        for i in range(max(count, 1)):
            flags = {f: draw.randrange(1 << bits) for f, bits in SPIKE_FIELDS.items()}
            last = i + 1 >= count
            if last and block == len(BLOCKS) - 1:
                flags["empty"] = 1
            yield {"row": draw.randrange(32), **flags, "ends_group": last}


def _vector(integrator, seed):
    """Items of a replay: dictionaries of event fields."""
    draw = random.Random(seed)
    items, block, shared = [], 0, None
    for item in (_mac_items if integrator == "mac" else _spike_items)(draw):
        shared = shared or {
            "mantissa": draw.randrange(4),
            "shift": draw.randrange(9),
            "code_sum": draw.randrange(-8160, 8161),
            "last_block": block == len(BLOCKS) - 1,
        }
        items.append({**item, **shared})
        if item.get("last") or item.get("ends_group"):
            block, shared = block + 1, None
    return items


def _expected(items, weights, sums):
    """Beats of all tiles: (address or None, head beats, fields of an item)."""
    base = BASE
    head, group = weights.head_beats(sums=sums), weights.group_beats(sums=sums)
    for _ in range(TILES):
        start = True
        for item in items:
            if start:
                for k in range(head):
                    yield base + k, (k < weights.scale_beats, k >= weights.scale_beats), None
            row = base + head + item["row"]
            if "code" in item:
                start, fields = item["last"], (0 if item["empty"] else item["code"],)
            else:
                start, fields = item["ends_group"], tuple(item[f] for f in SPIKE_FIELDS)
                row += group if start else 0
            yield None if item["empty"] else row, (0, 0), (start, *fields)
            base += group if start else 0


@pytest.mark.parametrize("lanes", [1, 8, 64])
@pytest.mark.parametrize("weights", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize("sums", [False, True], ids=["", "sums"])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_beats(lanes, weights, sums, idle, integrator):
    config = CoreConfig(lanes=lanes, memory_beats=500, max_outputs=lanes, integrator=integrator)
    params = CoreParams(config)
    dut = TileEngine(params)
    items = _vector(integrator, lanes)
    draw = random.Random(5)
    seen, ends = [], []

    async def bench(ctx):
        ctx.set(dut.wide, weights is W8)
        ctx.set(dut.sums, sums)
        ctx.set(dut.tiles, TILES)
        ctx.set(dut.weight_base, BASE)
        await ctx.tick().repeat(3)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(TILES):
            while not ctx.get(dut.replay):
                await ctx.tick()
            await ctx.tick().repeat(REPLAY[integrator])
            for item in items:
                while draw.random() < idle:
                    await ctx.tick()
                ctx.set(dut.events.valid, 1)
                ctx.set(dut.events.payload, item)
                while not ctx.get(dut.events.ready):
                    await ctx.tick()
                await ctx.tick()
                ctx.set(dut.events.valid, 0)
        for _ in range(80):
            assert not ctx.get(dut.replay)
            await ctx.tick()

    async def watch(ctx):
        sample = (dut.read.en, dut.read.address, dut.beat)
        addresses, cycle = [], 0
        async for _, _, enable, address, beat in ctx.tick().sample(*sample):
            cycle += 1
            addresses.append(address if enable else None)
            if beat.scale or beat.sums or beat.row:
                names = ("code",) if integrator == "mac" else SPIKE_FIELDS
                item = (beat.last, *(getattr(beat, n) for n in names)) if beat.row else None
                seen.append((addresses[-1 - MEMORY_LATENCY], (beat.scale, beat.sums), item))
            if beat.row and beat.last:
                ends.append((cycle, beat.group.last, beat.group.first))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(watch)
    counters = []

    async def count(ctx):
        await ctx.tick().until(dut.start)
        while len(ends) < TILES * len(BLOCKS):
            await ctx.tick()
        await ctx.tick().repeat(2)
        counters.extend(ctx.get(c) for c in (dut.rows_read, dut.beats_read, dut.stall_scaler))

    simulator.add_testbench(count, background=True)
    simulator.run()

    assert seen == list(_expected(items, weights, sums))
    rows, beats, stalls = counters
    assert rows == TILES * sum(not item["empty"] for item in items)
    head = weights.head_beats(sums=sums)
    assert beats == rows + TILES * len(BLOCKS) * head
    flags = [(block == len(BLOCKS) - 1, block == 0) for block in range(len(BLOCKS))]
    assert [end[1:] for end in ends] == TILES * flags
    times = [end[0] for end in ends]
    assert all(b - a >= group_interval(params) for a, b in zip(times, times[1:], strict=False))
    if not idle:
        cycles, waited = integrate_cycles(params, weights, TILES, BLOCKS, sums=sums)
        first_end = max(head, REPLAY[integrator]) + BLOCKS[0]
        assert times[-1] - times[0] == cycles - first_end
        assert stalls == waited
