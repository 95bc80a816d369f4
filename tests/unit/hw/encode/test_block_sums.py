import random

from hw.encode.block_sums import BlockSums, model
from hw.spec.codes import BLOCK
from hw.spec.params import CoreConfig, CoreParams

PARAMS = CoreParams(CoreConfig(max_inputs=160))


def write(ctx, dut, address, value):
    ctx.set(dut.input.en, 1)
    ctx.set(dut.input.address, address)
    ctx.set(dut.input.data, value)


async def read(ctx, dut, block):
    ctx.set(dut.block, block)
    await ctx.tick()
    sums = ctx.get(dut.sums)
    return sums.total, sums.largest


def test_blocks_of_a_vector(simulate):
    """With pauses, extremes and a partial block; the elements after its end count no more."""
    dut = BlockSums(PARAMS)

    async def bench(ctx):
        rng = random.Random(0)
        vectors = [[rng.randint(-32767, 32767) for _ in range(n)] for n in (160, 95, 1, 64)]
        for values in [*vectors, [-32767] * 33, [0] * 32, [32767] * 160]:
            for address, value in enumerate(values):
                write(ctx, dut, address, value)
                await ctx.tick()
                ctx.set(dut.input.en, 0)
                if rng.random() < 0.25:
                    await ctx.tick().repeat(3)
            await ctx.tick().repeat(2)
            for i in range(0, len(values), BLOCK):
                assert await read(ctx, dut, i // BLOCK) == model(values[i : i + BLOCK])

    simulate(dut, bench)


def test_a_block_is_written_anew(simulate):
    dut = BlockSums(PARAMS)

    async def bench(ctx):
        rng = random.Random(1)
        values = [rng.randint(-300, 300) for _ in range(160)]
        for block in (0, 3, 1, 4, 2, 3):
            new = [rng.randint(-3000, 3000) for _ in range(BLOCK)]
            values[block * BLOCK : (block + 1) * BLOCK] = new
            for row, value in enumerate(new):
                write(ctx, dut, block * BLOCK + row, value)
                await ctx.tick()
        ctx.set(dut.input.en, 0)
        await ctx.tick().repeat(2)
        for block in range(5):
            expected = model(values[block * BLOCK : (block + 1) * BLOCK])
            assert await read(ctx, dut, block) == expected

    simulate(dut, bench)
