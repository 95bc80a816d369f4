"""Masks of the rows to fetch, against the integer model."""

import random

import pytest
from amaranth.sim import Simulator

from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.row_masks import RowMask, RowMasks, model


@pytest.mark.parametrize(
    ("fires", "hole", "mask"),
    [
        ([], 4, RowMask(0, 0, 0)),
        ([0, 0, 0], 4, RowMask(0, 0, 0)),
        ([1, 0, 1], 1, RowMask(0b101, 2, 0)),
        ([1, 0, 1], 2, RowMask(0b111, 2, 1)),
        ([0, 0, 1, 0, 0, 0, 1], 3, RowMask(0b1000111, 2, 2)),
        ([0, 0, 1, 0, 0, 0, 1, 0], 4, RowMask(0b1111111, 2, 5)),
    ],
)
def test_model(fires, hole, mask):
    assert model(fires, hole) == mask


def _params(hole, batch=1):
    return CoreParams(CoreConfig(lanes=8, max_inputs=160, memory="axi", hole=hole, batch=batch))


@pytest.mark.parametrize("hole", [1, 2, 5, 8])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_masks(hole, idle):
    """Two vectors, the last block partial; a mask is known only once it is complete."""
    dut = RowMasks(_params(hole))
    draw = random.Random(hole)
    vectors = [
        [[draw.random() < share for _ in range(32)] for share in (0.9, 0.5, 0, 0.1)]
        + [[draw.random() < 0.5 for _ in range(7)]]
        for _ in range(2)
    ]

    async def bench(ctx):
        for vector in vectors:
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            ctx.set(dut.filling, 1)
            for number, block in enumerate(vector):
                ctx.set(dut.block, number)
                for row, fires in enumerate(block):
                    while draw.random() < idle:
                        await ctx.tick()
                    assert not ctx.get(dut.known) or row < 2
                    ctx.set(dut.classified.p.silent, not fires)
                    ctx.set(dut.classified.p.place.row, row)
                    ctx.set(dut.classified.p.place.last, row == len(block) - 1)
                    ctx.set(dut.classified.valid, 1)
                    await ctx.tick()
                    ctx.set(dut.classified.valid, 0)
            ctx.set(dut.filling, 0)
            for number in draw.sample(range(5), 5):
                ctx.set(dut.block, number)
                await ctx.tick().repeat(3)
                assert ctx.get(dut.known)
                mask = ctx.get(dut.mask)
                assert model(vector[number], hole) == (mask.fetched, mask.rows, mask.holes)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("hole", [1, 3])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_batch(hole, idle):
    """Masks of a batch are those of the rows that fire in any of its vectors."""
    dut = RowMasks(_params(hole, batch=3))
    draw = random.Random(hole)
    batches = [
        [
            [[draw.random() < share for _ in range(size)] for size in (32, 32, 32, 7)]
            for share in (0.1, 0, 0.2)[:count]
        ]
        for count in (3, 1, 2)
    ]

    async def check(ctx, place, rows):
        ctx.set(dut.block, place)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.known)
        mask = ctx.get(dut.mask)
        assert model(rows[place], hole) == (mask.fetched, mask.rows, mask.holes)

    async def bench(ctx):
        other = None  # the other bank stays as it is
        for turn, batch in enumerate(batches):
            ctx.set(dut.bank, turn % 2)
            union = [[False] * len(block) for block in batch[0]]
            for number, vector in enumerate(batch):
                ctx.set(dut.joins, number > 0)
                ctx.set(dut.clear, 1)
                await ctx.tick()
                ctx.set(dut.clear, 0)
                ctx.set(dut.filling, 1)
                await ctx.tick().repeat(2)
                for place, block in enumerate(vector):
                    union[place] = [a or b for a, b in zip(union[place], block, strict=True)]
                    for row, fires in enumerate(block):
                        while draw.random() < idle:
                            await ctx.tick()
                        ctx.set(dut.classified.p.silent, not fires)
                        ctx.set(dut.classified.p.place.row, row)
                        ctx.set(dut.classified.p.place.last, row == len(block) - 1)
                        ctx.set(dut.classified.valid, 1)
                        await ctx.tick()
                        ctx.set(dut.classified.valid, 0)
                    if other:
                        ctx.set(dut.source, 1 - turn % 2)
                        await check(ctx, place, other)
                ctx.set(dut.filling, 0)
                ctx.set(dut.source, turn % 2)
                for place in range(4):
                    await check(ctx, place, union)
            other = union

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
