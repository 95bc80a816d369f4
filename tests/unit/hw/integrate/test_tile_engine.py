"""Tile engine against its address order, counters and the closed cycle formula."""

import random

import pytest
from amaranth.sim import Simulator

from hw.integrate.tile_engine import TileEngine
from hw.spec.cycles import (
    MEMORY_LATENCY,
    REPLAY,
    group_interval,
    integrate_cycles,
    tile_interval,
)
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams

TILES = 3
BASE = 11
BLOCKS = [5, 0, 32, 1]


def _vector(seed):
    """Items of a replay: dictionaries of event fields."""
    draw = random.Random(seed)
    items = []
    for block, count in enumerate(BLOCKS):
        shared = {
            "mantissa": draw.randrange(4),
            "shift": draw.randrange(9),
            "code_sum": draw.randrange(-8160, 8161),
            "last_block": block == len(BLOCKS) - 1,
        }
        rows = draw.sample(range(32), count) or [0]
        for i, row in enumerate(rows):
            event = {"row": row, "code": draw.randrange(-255, 256), "empty": count == 0}
            items.append({**shared, **event, "last": i == len(rows) - 1})
    return items


def _expected(items, weights):
    """Beats of all tiles: (address or None, scale, row, code, last, first group, last group)."""
    address = BASE
    for _ in range(TILES):
        start = True
        for item in items:
            if start:
                for k in range(weights.scale_beats):
                    yield address + k, 1, 0
            place = None if item["empty"] else address + weights.scale_beats + item["row"]
            yield place, 0, 1, 0 if item["empty"] else item["code"], item["last"]
            start = item["last"]
            address += weights.beats if start else 0


@pytest.mark.parametrize("lanes", [1, 8, 64])
@pytest.mark.parametrize("weights", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_beats(lanes, weights, idle):
    params = CoreParams(CoreConfig(lanes=lanes, memory_beats=500, max_outputs=lanes))
    dut = TileEngine(params)
    items = _vector(lanes)
    draw = random.Random(5)
    seen, ends = [], []

    async def bench(ctx):
        ctx.set(dut.wide, weights is W8)
        ctx.set(dut.tiles, TILES)
        ctx.set(dut.weight_base, BASE)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(TILES):
            while not ctx.get(dut.replay):
                await ctx.tick()
            await ctx.tick().repeat(REPLAY)
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
            if beat.scale or beat.row:
                row = (beat.code, beat.last) if beat.row else ()
                seen.append((addresses[-1 - MEMORY_LATENCY], beat.scale, beat.row, *row))
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

    assert seen == list(_expected(items, weights))
    rows, beats, stalls = counters
    assert rows == TILES * sum(BLOCKS)
    assert beats == rows + TILES * len(BLOCKS) * weights.scale_beats
    flags = [(block == len(BLOCKS) - 1, block == 0) for block in range(len(BLOCKS))]
    assert [end[1:] for end in ends] == TILES * flags
    times = [end[0] for end in ends]
    assert all(b - a >= group_interval(params) for a, b in zip(times, times[1:], strict=False))
    tile_ends = times[len(BLOCKS) - 1 :: len(BLOCKS)]
    closest = tile_interval(params, weights)
    assert all(b - a >= closest for a, b in zip(tile_ends, tile_ends[1:], strict=False))
    if not idle:
        cycles, waited = integrate_cycles(params, weights, TILES, BLOCKS)
        first_end = max(weights.scale_beats, REPLAY) + BLOCKS[0]
        assert times[-1] - times[0] == cycles - first_end
        assert stalls == waited
