"""How deep memories are cut for block RAMs."""

import random

import pytest
from amaranth.sim import Simulator

from hw.memory import ColumnMemory, cuts


@pytest.mark.parametrize(
    ("depth", "column"), [(1025, 8), (2048, 8), (2049, 4), (4097, 2), (7040, 2), (16384, 1)]
)
@pytest.mark.parametrize("width", [1, 2, 24, 42, 45])
def test_columns_hold_every_bit_once(width, depth, column):
    columns = cuts(width, depth)
    assert [bit for first, end in columns for bit in range(first, end)] == list(range(width))
    assert all(0 < end - first <= column for first, end in columns)
    assert len(columns) == -(-width // column)


@pytest.mark.parametrize("depth", [2, 1024, 16385])
def test_left_whole(depth):
    """One block RAM is deep enough, or none is."""
    assert cuts(45, depth) == [(0, 45)]


@pytest.mark.parametrize("depth", [5, 1500, 16385])
def test_a_cut_memory_keeps_every_bit(depth):
    """Words at both ends and between, each in its place; nothing is written without `en`."""
    memory = ColumnMemory(shape=21, depth=depth)
    draw = random.Random(depth)
    places = sorted({0, 1, depth // 2, depth - 2, depth - 1})
    words = {place: draw.getrandbits(21) for place in places}

    async def testbench(ctx):
        ctx.set(memory.write.en, 1)
        for place, word in words.items():
            ctx.set(memory.write.addr, place)
            ctx.set(memory.write.data, word)
            await ctx.tick()
        ctx.set(memory.write.en, 0)
        ctx.set(memory.write.data, 0)
        for place in reversed(places):
            ctx.set(memory.read.addr, place)
            await ctx.tick()
            assert ctx.get(memory.read.data) == words[place]

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
