import random

import pytest

from hw.encode.block_sums import BlockSums, model
from hw.spec.codes import BLOCK
from hw.spec.params import CoreConfig, CoreParams

WIDTHS = pytest.mark.parametrize("width", [1, 4, 8])


def sums_of(width):
    """Sums of a core without a vector unit, or with one that writes several elements at once."""
    vector = {"memory": "axi", "vector_words": 64, "vector_width": width} if width > 1 else {}
    return BlockSums(CoreParams(CoreConfig(max_inputs=160, **vector)))


async def write(ctx, dut, first, values, rng=None):
    """Write neighbouring elements beat by beat; what is behind the last is written by none."""
    width = dut.params.input_width
    for start in range(0, len(values), width):
        beat = values[start : start + width]
        ctx.set(dut.input.en, (1 << len(beat)) - 1)
        ctx.set(dut.input.address, first + start)
        ctx.set(dut.input.data, beat + [-32768] * (width - len(beat)))
        await ctx.tick()
        if rng and rng.random() < 0.25:
            ctx.set(dut.input.en, 0)
            await ctx.tick().repeat(3)
    ctx.set(dut.input.en, 0)


async def read(ctx, dut, block):
    ctx.set(dut.block, block)
    await ctx.tick()
    sums = ctx.get(dut.sums)
    return sums.total, sums.largest


def settle(width):
    """Cycles from a vector's last write until its sums are asked for."""
    return 2 + (width - 1).bit_length()


@WIDTHS
def test_blocks_of_a_vector(simulate, width):
    """With pauses, extremes and a partial block; the elements after its end count no more."""
    dut = sums_of(width)

    async def bench(ctx):
        rng = random.Random(0)
        vectors = [[rng.randint(-32767, 32767) for _ in range(n)] for n in (160, 95, 1, 64)]
        for values in [*vectors, [-32767] * 33, [0] * 32, [32767] * 160]:
            await write(ctx, dut, 0, values, rng)
            await ctx.tick().repeat(settle(width))
            for i in range(0, len(values), BLOCK):
                assert await read(ctx, dut, i // BLOCK) == model(values[i : i + BLOCK])

    simulate(dut, bench)


@WIDTHS
def test_a_block_is_written_anew(simulate, width):
    dut = sums_of(width)

    async def bench(ctx):
        rng = random.Random(1)
        values = [rng.randint(-300, 300) for _ in range(160)]
        for block in (0, 3, 1, 4, 2, 3):
            new = [rng.randint(-3000, 3000) for _ in range(BLOCK)]
            values[block * BLOCK : (block + 1) * BLOCK] = new
            await write(ctx, dut, block * BLOCK, new)
        await ctx.tick().repeat(settle(width))
        for block in range(5):
            expected = model(values[block * BLOCK : (block + 1) * BLOCK])
            assert await read(ctx, dut, block) == expected

    simulate(dut, bench)


@WIDTHS
def test_elements_one_by_one(simulate, width):
    """As the host writes them, whatever the width."""
    dut = sums_of(width)

    async def bench(ctx):
        values = [random.Random(2).randint(-3000, 3000) for _ in range(77)]
        for place, value in enumerate(values):
            ctx.set(dut.input.en, 1 << place % width)
            ctx.set(dut.input.address, place)
            ctx.set(dut.input.data, [value] * width)
            await ctx.tick()
        ctx.set(dut.input.en, 0)
        await ctx.tick().repeat(settle(width))
        for i in range(0, len(values), BLOCK):
            assert await read(ctx, dut, i // BLOCK) == model(values[i : i + BLOCK])

    simulate(dut, bench)
