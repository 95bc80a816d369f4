import random

import pytest

from hw.encode import block_sums
from hw.encode.block_scale import BlockScale, model
from hw.spec import scales
from hw.spec.codes import BLOCK


def blocks(rng):
    """Extreme blocks and random ones of every size."""
    extreme = [
        [0],
        [0] * BLOCK,
        [32767] * BLOCK,
        [-32767] * BLOCK,
        [0] * 31 + [-32767],
        [32767] + [0] * 30,
        [1],
    ]
    limits = [[scales.LARGEST_CODE * s // 16 + d] for s in scales.GRID[:43] for d in (0, 1)]
    limits = [block for block in limits if block[0] <= scales.INPUT_MAX]
    scattered = []
    for _ in range(60):
        bound = 1 << rng.randrange(15)
        size = rng.choice([1, 31, BLOCK, BLOCK, rng.randrange(1, BLOCK)])
        scattered.append([rng.randint(-bound, bound) for _ in range(size)])
    return extreme + limits + scattered


def sums(block):
    total, largest = block_sums.model(block)
    return {"total": total, "largest": largest}


@pytest.mark.parametrize("constant", [1, 7, 367, scales.scale_constant(1.0), 4095])
@pytest.mark.parametrize("idle", [False, True])
def test_block_scale(pipe, constant, idle):
    rng = random.Random(constant)
    vectors = blocks(rng)
    dut = BlockScale()

    results = pipe(
        dut,
        dut.sums,
        list(map(sums, vectors)),
        dut.index,
        idle=rng if idle else None,
        constants=[(dut.constant, constant)],
    )
    assert [index for _, index in results] == [model(v, constant) for v in vectors]
    if not idle:
        assert [cycle for cycle, _ in results] == [i + 9 for i in range(len(vectors))]
