"""The three readers of classified codes: counters, summary and sorter."""

import random

import pytest

from hw.encode import block_summary, event_counters, event_sorter
from hw.encode.classifier import SUPPORTED_TABLES, model
from hw.spec.codes import BLOCK, TABLES
from hw.spec.params import CoreConfig, CoreParams

PARAMS = CoreParams(CoreConfig(max_inputs=256))


def block(rng, table, size, *, largest=255):
    """Random codes, in the test mode: any value is possible."""
    bound = rng.choice([0, 2, 20, largest])
    codes = [rng.randint(-bound, bound) for _ in range(size)]
    return [model(8 * abs(c), c < 0, table, 0, codes=True) for c in codes]


def vector(rng, table, inputs):
    sizes = [BLOCK] * (inputs // BLOCK) + [inputs % BLOCK] * (inputs % BLOCK > 0)
    return [block(rng, table, size) for size in sizes]


def items(blocks):
    return [
        {
            "value": code.value,
            "integer": code.integer,
            "silent": code.silent,
            "step": code.step,
            "place": {
                "row": row,
                "last": row == len(block) - 1,
                "mantissa": i % 4,
                "shift": i % 9,
            },
        }
        for i, block in enumerate(blocks)
        for row, code in enumerate(block)
    ]


def full(table):
    """Blocks that fire everywhere: all integers, all of one level, every level."""
    values = [255] * BLOCK, [1] * BLOCK, list(range(1, BLOCK + 1)), [-1, 255] * (BLOCK // 2)
    return [[model(8 * abs(v), v < 0, table, 0, codes=True) for v in vs] for vs in values]


CASES = [(TABLES[name], inputs) for name in SUPPORTED_TABLES for inputs in (1, 95, 161)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def blocks(request):
    table, inputs = request.param
    rng = random.Random(inputs + table.number)
    return (full(table) if inputs == 95 else []) + vector(rng, table, inputs)


@pytest.mark.parametrize("idle", [False, True])
def test_event_sorter(pipe, blocks, idle):
    dut = event_sorter.EventSorter()
    rng = random.Random(1) if idle else None
    results = pipe(dut, dut.classified, items(blocks), dut.fired, idle=rng, settle=70)
    expected = [event for block in blocks for event in event_sorter.model(block)]
    assert [(r.row, r.code) for _, r in results] == expected
    if not idle:
        cycle, cycles = 0, []
        for i, block in enumerate(blocks):
            start = max(cycle, 32 * i + len(block) - 1 + 5)
            events = len(event_sorter.model(block))
            cycles += range(start, start + events)
            cycle = start + events
        assert [cycle for cycle, _ in results] == cycles


def test_block_summary(pipe, blocks):
    dut = block_summary.BlockSummary()
    results = pipe(dut, dut.classified, items(blocks), dut.summary, idle=random.Random(2))
    assert [(r.code_sum, r.count) for _, r in results] == [block_summary.model(b) for b in blocks]
    scales = [(r.mantissa, r.shift) for _, r in results]
    assert scales == [(i % 4, i % 9) for i in range(len(blocks))]


def test_event_counters(simulate, blocks):
    dut = event_counters.EventCounters(PARAMS)

    async def bench(ctx):
        for _ in range(2):
            for item in items(blocks):
                ctx.set(dut.classified.payload, item)
                ctx.set(dut.classified.valid, 1)
                await ctx.tick()
            ctx.set(dut.classified.valid, 0)
            await ctx.tick().repeat(2)
            counts = [ctx.get(getattr(dut, name)) for name in event_counters.Counts._fields]
            assert counts == list(event_counters.model(blocks))
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)

    simulate(dut, bench)


def test_steps_by_hand():
    codes = [0, 19, -19, 5, 20, -21, 255, -3, 32]
    block = [model(8 * abs(c), c < 0, TABLES["companded"], 0, codes=True) for c in codes]
    # coarse: 20, 21 -> 1; 255 -> 16; 32 -> 2.  fine: 19, 5, 3; 20 -> 4; 21 -> 5; 255 -> 1
    assert event_counters.model([block]) == (4, 1, 4, 3 + 5)
