"""Outputs in order, behind the tiles that are complete, and none too many."""

import random

import pytest
from amaranth.sim import Simulator

from hw.integrate.output_buffer import READ_LATENCY
from hw.sequence.output_reader import OutputReader
from hw.spec.params import CoreConfig, CoreParams


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("pauses", [0.0, 0.6])
def test_reader(wide, pauses):
    """What is read before its tile is complete is wrong; so is all between two matrices."""
    params = CoreParams(CoreConfig(lanes=8, memory="axi", vector_words=64, max_outputs=64))
    dut, rng = OutputReader(params), random.Random(wide)
    per_tile = 8 >> wide
    written, got = [], []
    matrices = [(1, 5), (3, 2 * per_tile + 1), (2, 2 * per_tile), (1, 1), (5, 5 * per_tile)]
    matrices = [(tiles, min(count, tiles * per_tile)) for tiles, count in matrices]

    async def buffer(ctx):
        coming = [None] * READ_LATENCY
        while True:
            address = ctx.get(dut.address)
            coming.append(written[address] if address < len(written) else -999)
            ctx.set(dut.accumulator, coming.pop(0) or 0)
            await ctx.tick()

    async def consume(ctx):
        while True:
            ctx.set(dut.accumulators.ready, rng.random() >= pauses)
            _, _, taken, value = await ctx.tick().sample(
                dut.accumulators.valid & dut.accumulators.ready, dut.accumulators.payload
            )
            if taken:
                got.append(value)

    async def bench(ctx):
        ctx.set(dut.wide, wide)
        for number, (tiles, count) in enumerate(matrices):
            values = [1000 * number + i + 1 for i in range(tiles * per_tile)]
            written.clear()
            got.clear()
            ctx.set(dut.count, count)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.count, 65535)
            for tile in range(tiles):
                await ctx.tick().repeat(rng.choice([1, 7, 20]))
                ctx.set(dut.tile_done, 1)
                await ctx.tick()
                written.extend(values[tile * per_tile : (tile + 1) * per_tile])
                ctx.set(dut.tile_done, 0)
            await ctx.tick().repeat(8 * len(values) + 40)
            assert got == values[:count]

    _simulate(dut, bench, buffer, consume)


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("parts", [1, 4])
def test_batch(wide, parts):
    """Vector after vector, although a tile's outputs stand for one vector after the other."""
    params = CoreParams(
        CoreConfig(
            lanes=8, tile_lanes=8 * parts, memory="axi", vector_words=64, max_outputs=96, batch=5
        )
    )
    dut, rng = OutputReader(params), random.Random(wide)
    part, per_tile = 8 >> wide, 8 * parts >> wide
    written, got = [], []
    matrices = [(1, 1, 1), (3, 5, 2 * per_tile + 1), (2, 2, 2 * per_tile), (1, 4, 3), (3, 1, 5)]

    async def buffer(ctx):
        coming = [None] * READ_LATENCY
        while True:
            address = ctx.get(dut.address)
            coming.append(written[address] if address < len(written) else -999)
            ctx.set(dut.accumulator, coming.pop(0) or 0)
            await ctx.tick()

    async def consume(ctx):
        while True:
            ctx.set(dut.accumulators.ready, rng.random() >= 0.3)
            _, _, taken, value = await ctx.tick().sample(
                dut.accumulators.valid & dut.accumulators.ready, dut.accumulators.payload
            )
            if taken:
                got.append(value)

    async def bench(ctx):
        ctx.set(dut.wide, wide)
        for tiles, vectors, count in matrices:
            written.clear()
            got.clear()
            ctx.set(dut.count, count)
            ctx.set(dut.vector, vectors - 1)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for tile in range(tiles):
                for vector in range(vectors):
                    for first in range(0, per_tile, part):
                        await ctx.tick().repeat(rng.choice([1, 7, 20]))
                        ctx.set(dut.tile_done, 1)
                        await ctx.tick()
                        outputs = range(tile * per_tile + first, tile * per_tile + first + part)
                        written.extend(1000 * vector + output + 1 for output in outputs)
                        ctx.set(dut.tile_done, 0)
            await ctx.tick().repeat(8 * len(written) + 40)
            assert got == [1000 * v + i + 1 for v in range(vectors) for i in range(count)]

    _simulate(dut, bench, buffer, consume)


def _simulate(dut, bench, buffer, consume):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(buffer, background=True)
    simulator.add_testbench(consume, background=True)
    simulator.run()
