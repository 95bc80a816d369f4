import random

import pytest

from hw.encode.level_stacks import STACKS, LevelStacks, model
from hw.spec.codes import BLOCK


def test_model_by_hand():
    assert model([(3, "a"), (1, "b"), (3, "c"), (0, "d"), (1, "e")]) == ["d", "e", "b", "c", "a"]
    assert model([]) == []


def blocks(rng):
    keys = [
        [],
        [0],
        [15] * BLOCK,
        list(range(STACKS)) * 2,
        list(reversed(range(STACKS))),
        [],
        [],
        [7, 7],
    ]
    keys += [[rng.randrange(STACKS) for _ in range(rng.randrange(BLOCK + 1))] for _ in range(40)]
    return [[(key, rng.randrange(1 << 7)) for key in block] for block in keys]


@pytest.mark.parametrize("held", [False, True])
def test_level_stacks(simulate, held):
    """While a block is pushed, the one before it is popped."""
    rng = random.Random(1)
    vectors = blocks(rng)
    dut = LevelStacks(7)

    async def bench(ctx):
        popping = []
        for block in [*vectors, []]:
            popped, pushed, cycle = [], list(block), 0
            while True:
                ctx.set(dut.popped.ready, not held or rng.random() < 0.7)
                ctx.set(dut.pushed.valid, bool(pushed))
                if pushed:
                    key, payload = pushed.pop(0)
                    ctx.set(dut.pushed.payload, {"key": key, "payload": payload})
                if ctx.get(dut.popped.valid) and ctx.get(dut.popped.ready):
                    popped.append((cycle, ctx.get(dut.popped.payload)))
                busy = ctx.get(dut.busy)
                done = not pushed and not busy
                ctx.set(dut.swap, done)
                await ctx.tick()
                cycle += 1
                if done:
                    break
            ctx.set(dut.swap, 0)
            ctx.set(dut.pushed.valid, 0)
            assert [payload for _, payload in popped] == model(popping)
            if not held:
                assert [cycle for cycle, _ in popped] == [1 + i for i in range(len(popping))]
            popping = block

    simulate(dut, bench)
