"""Outputs in order, behind the tiles that are complete, and none too many."""

import random

import pytest
from amaranth.sim import Simulator

from hw.integrate.output_buffer import READ_LATENCY
from hw.sequence.output_reader import OutputReader
from hw.spec.params import CoreConfig, CoreParams


def number(vector, output):
    """Return what the test writes for an output."""
    return 1000 * vector + output + 1


def handed_on(tiles, vectors, count, per_tile):
    """Return what is expected: number, ends_segment, ends_tile and last of each output."""
    expected = []
    for first in range(0, min(tiles * per_tile, count), per_tile):
        segment = range(first, min(first + per_tile, count))
        for vector in range(vectors):
            for output in segment:
                ends, final = output == segment[-1], vector == vectors - 1
                last = final and output == count - 1
                expected.append((number(vector, output), ends, ends and final, last))
    return expected


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("pauses", [0.0, 0.6])
def test_reader(wide, parts, batch, pauses):
    """What is read before its tile is complete is wrong; so is all between two matrices."""
    params = CoreParams(
        CoreConfig(
            **{"lanes": 8, "tile_lanes": 8 * parts, "memory": "axi", "vector_words": 64},
            **{"max_outputs": 64 * parts * batch, "batch": batch},
        )
    )
    dut, rng = OutputReader(params), random.Random(f"{wide}{parts}{batch}")
    part, per_tile = 8 >> wide, 8 * parts >> wide
    written, got = [], []
    matrices = [
        *((1, batch, 3), (3, batch, 2 * per_tile + 1), (2, batch, 2 * per_tile), (1, 1, 1)),
        *((4, min(2, batch), 2 * per_tile - 1), (5, 1, 4 * per_tile + 3), (3, batch, per_tile)),
    ]

    async def buffer(ctx):
        coming = [None] * READ_LATENCY
        while True:
            address = ctx.get(dut.address)
            coming.append(written[address] if address < len(written) else -999)
            ctx.set(dut.accumulator, coming.pop(0) or 0)
            await ctx.tick()

    async def consume(ctx):
        port = dut.outputs
        while True:
            ctx.set(port.ready, rng.random() >= pauses)
            _, _, taken, output = await ctx.tick().sample(port.valid & port.ready, port.payload)
            if taken:
                flags = output.ends_segment, output.ends_tile, output.last
                got.append((output.accumulator, *flags))

    async def bench(ctx):
        ctx.set(dut.wide, wide)
        for tiles, vectors, count in matrices:
            written.clear()
            got.clear()
            ctx.set(dut.count, count)
            ctx.set(dut.vectors, vectors)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.count, 65535)
            ctx.set(dut.vectors, 99)
            for tile in range(tiles):
                for vector in range(vectors):
                    for first in range(tile * per_tile, (tile + 1) * per_tile, part):
                        await ctx.tick().repeat(rng.choice([1, 3, 15]))
                        ctx.set(dut.tile_done, 1)
                        await ctx.tick()
                        written.extend(number(vector, first + i) for i in range(part))
                        ctx.set(dut.tile_done, 0)
            await ctx.tick().repeat((8 if pauses else 1) * len(written) + 40)
            expected = handed_on(tiles, vectors, count, per_tile)
            if batch == 1:
                expected = [(value, 0, 0, last) for value, _, _, last in expected]
            assert got == expected

    _simulate(dut, bench, buffer, consume)


@pytest.mark.parametrize("batch", [1, 5])
def test_an_output_a_cycle(batch):
    """Nothing is lost between the segments, where the second is as short as may be."""
    params = CoreParams(CoreConfig(lanes=8, memory="axi", vector_words=64, batch=batch))
    dut, taken = OutputReader(params), []

    async def watch(ctx):
        ctx.set(dut.outputs.ready, 1)
        async for _, _, valid in ctx.tick().sample(dut.outputs.valid):
            taken.append(valid)

    async def bench(ctx):
        ctx.set(dut.vectors, batch)
        ctx.set(dut.count, 9)
        for pulse, cycles in ((dut.start, 1), (dut.tile_done, 2 * batch)):
            ctx.set(pulse, 1)
            await ctx.tick().repeat(cycles)
            ctx.set(pulse, 0)
        await ctx.tick().repeat(9 * batch + 20)

    _simulate(dut, bench, watch)
    assert sum(taken) == 9 * batch
    first = taken.index(1)
    assert all(taken[first : first + 9 * batch])


def _simulate(dut, bench, *others):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    for other in others:
        simulator.add_testbench(other, background=True)
    simulator.run()
