import random

import pytest

from hw.encode.input_buffer import InputBuffer
from hw.spec.params import CoreConfig, CoreParams


@pytest.mark.parametrize("width", [1, 4, 8])
def test_elements(simulate, width):
    """Beats and parts of them are written; in each walk from the first element on, an element
    stays while its position does not count.
    """
    vector = {"memory": "axi", "vector_words": 64, "vector_width": width} if width > 1 else {}
    dut = InputBuffer(CoreParams(CoreConfig(max_inputs=96, **vector)))

    async def bench(ctx):
        rng, kept = random.Random(width), [0] * 96
        for _ in range(60):
            first, mask = rng.randrange(0, 96, width), rng.randrange(1 << width)
            beat = [rng.randint(-32767, 32767) for _ in range(width)]
            ctx.set(dut.input.en, mask)
            ctx.set(dut.input.address, first + rng.randrange(width))
            ctx.set(dut.input.data, beat)
            await ctx.tick()
            for i, value in enumerate(beat):
                if mask >> i & 1:
                    kept[first + i] = value
        ctx.set(dut.input.en, 0)
        for length in (1, 2, 7, 8, 9, 31, 95, 96):
            ctx.set(dut.first, 1)
            for _ in range(rng.randrange(2, 9)):
                ctx.set(dut.position, rng.randrange(96))
                ctx.set(dut.en, rng.randrange(2))
                await ctx.tick()
            ctx.set(dut.first, 0)
            for position in range(length):
                ctx.set(dut.en, 0)
                for _ in range(rng.choice([0, 0, 1, 3])):
                    ctx.set(dut.position, rng.randrange(96))
                    await ctx.tick()
                    assert position == 0 or ctx.get(dut.element) == kept[position - 1]
                ctx.set(dut.position, position)
                ctx.set(dut.en, 1)
                await ctx.tick()
                assert ctx.get(dut.element) == kept[position]

    simulate(dut, bench)
