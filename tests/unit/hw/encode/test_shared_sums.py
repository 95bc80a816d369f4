import random

import pytest

from hw.encode.block_sums import TOTAL_BITS
from hw.encode.shared_sums import SharedSums, model
from hw.spec.codes import BLOCK
from hw.spec.encoder_cycles import shared_cycles
from hw.spec.scales import INPUT_MAX


def vectors(rng):
    """Every number of blocks to beyond two arrays; extreme sums, and such that end a division."""
    for blocks in range(1, 20):
        yield [(BLOCK * INPUT_MAX, INPUT_MAX)] * blocks
        yield [(BLOCK * INPUT_MAX - 1, 1)] + [(BLOCK * INPUT_MAX, 0)] * (blocks - 1)
        yield [
            (
                rng.randrange(min(1 << rng.randrange(TOTAL_BITS), BLOCK * INPUT_MAX)),
                rng.randrange(99),
            )
            for _ in range(blocks)
        ]


@pytest.mark.parametrize("shared", [2, 3, 8])
def test_neighbours_have_one_sum(simulate, shared):
    dut = SharedSums(shared)

    async def bench(ctx):
        for sums in vectors(random.Random(shared)):
            got, cycle = [], 0
            for number in range(len(sums) + 30):
                shown = number < len(sums)
                ctx.set(dut.sums.valid, shown)
                if shown:
                    total, largest = sums[number]
                    ctx.set(dut.sums.payload, {"total": total, "largest": largest})
                    ctx.set(dut.last, number == len(sums) - 1)
                if ctx.get(dut.means.valid):
                    mean = ctx.get(dut.means.payload)
                    got.append((mean.total, mean.largest))
                    cycle = number
                await ctx.tick()
            assert got == model(sums, shared)
            if shared == 8:
                assert cycle == len(sums) - 1 + shared_cycles(len(sums), shared)

    simulate(dut, bench)


def test_refusal():
    with pytest.raises(ValueError, match="2 to 8 blocks may share a scale, not 9"):
        SharedSums(9)
