"""Digits, and the readers of split codes: counters, summary and sorter."""

import itertools
import random

import pytest

from hw.encode import block_summary, digits, event_counters, event_sorter
from hw.encode.classifier import SUPPORTED_TABLES, Code, model
from hw.spec.codes import BLOCK, TABLES
from hw.spec.encoder_cycles import sort_cycles
from hw.spec.params import CoreConfig, CoreParams

INTEGRATORS = ("mac", "spike")
PARAMS = {name: CoreParams(CoreConfig(max_inputs=256, integrator=name)) for name in INTEGRATORS}


def block(rng, table, size):
    """Random codes: of the test mode, where any value is possible, or else quotients."""
    bound = rng.choice([1, 2, 20, 256])
    if table.zero:
        silent = rng.choice(table.ladder) if table.masked else None
        return [
            model(rng.randrange(min(1017, 8 * bound)), rng.random() < 0.5, table, 4, silent=silent)
            for _ in range(size)
        ]
    values = [rng.randint(1 - bound, bound - 1) for _ in range(size)]
    return [model(8 * abs(v), v < 0, table, 0, codes=True) for v in values]


def vector(rng, table, inputs):
    sizes = [BLOCK] * (inputs // BLOCK) + [inputs % BLOCK] * (inputs % BLOCK > 0)
    return [block(rng, table, size) for size in sizes]


def full(table):
    """Blocks that fire everywhere: all integers, all of one level, every level."""
    values = [247] * BLOCK, [1] * BLOCK, list(range(1, BLOCK + 1)), [-1, 255] * (BLOCK // 2)
    many = [list(range(i, i + BLOCK)) for i in range(0, 224, 47)]
    return [[Code(v, v, v not in (0, *table.ladder)) for v in vs] for vs in (*values, *many)]


def place(blocks):
    return [
        {"row": row, "last": row == len(block) - 1, "mantissa": i % 4, "shift": i % 9}
        for i, block in enumerate(blocks)
        for row in range(len(block))
    ]


def classified(blocks):
    codes = [code for block in blocks for code in block]
    return [
        {
            "value": code.value,
            "level": code.level,
            "integer": code.integer,
            "silent": code.silent,
            "place": where,
        }
        for code, where in zip(codes, place(blocks), strict=True)
    ]


def split(blocks):
    codes = [digits.model(code) for block in blocks for code in block]
    return [
        {
            "code": code,
            "coarse": abs(levels.coarse),
            "coarse_negative": levels.coarse < 0,
            "fine": abs(levels.fine),
            "fine_negative": levels.fine < 0,
        }
        for code, levels in zip(classified(blocks), codes, strict=True)
    ]


CASES = [(TABLES[name], inputs) for name in SUPPORTED_TABLES for inputs in (1, 95, 161)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def blocks(request):
    table, inputs = request.param
    rng = random.Random(inputs + table.number)
    return (full(table) if inputs == 95 else []) + vector(rng, table, inputs)


def test_digits(pipe):
    dut = digits.Digits()
    codes = [[Code(v, v, integer) for v in range(-255, 256)] for integer in (False, True)]
    results = pipe(dut, dut.classified, classified(codes), dut.split, idle=random.Random(0))
    for code, (_, got) in zip(codes[0] + codes[1], results, strict=True):
        coarse = -got.coarse if got.coarse_negative else got.coarse
        fine = -got.fine if got.fine_negative else got.fine
        assert (coarse, fine) == digits.model(code)
        assert 16 * coarse + fine == code.level == got.code.level
        assert not code.integer or abs(fine) <= 8


@pytest.mark.parametrize("idle", [False, True])
def test_event_sorter(simulate, blocks, idle):
    dut = event_sorter.EventSorter()
    rng = random.Random(1)
    fired, complete = [], []

    async def bench(ctx):
        items, cycle = split(blocks), 0
        while cycle == 0 or ctx.get(dut.busy) or items:
            offered = bool(items) and not (idle and rng.random() < 0.3)
            ctx.set(dut.split.valid, offered)
            if offered:
                ctx.set(dut.split.payload, items[0])
                if ctx.get(dut.split.ready):
                    items.pop(0)
            if ctx.get(dut.fired.valid):
                event = ctx.get(dut.fired.payload)
                fired.append(tuple(int(event[name]) for name in event_sorter.Fired._fields))
            if ctx.get(dut.complete):
                complete.append((cycle, len(fired)))
            await ctx.tick()
            cycle += 1
            assert cycle < 9999, "never done"
        if not idle:
            windows = [[digits.model(code) for code in block] for block in blocks]
            counts = [(sum(c != 0 for c, _ in w), sum(f != 0 for _, f in w)) for w in windows]
            expected = sort_cycles(sum(map(len, blocks)), counts)
            assert [cycle for cycle, _ in complete] == expected
            assert cycle == expected[-1] + 1

    simulate(dut, bench)
    events = [event_sorter.model(block) for block in blocks]
    assert fired == [event for block in events for event in block]
    stored = itertools.accumulate(map(len, events))
    assert len(complete) == len(blocks)
    assert all(number >= least for (_, number), least in zip(complete, stored, strict=True))


def test_model_is_in_time_order(blocks):
    for block in blocks:
        events = event_sorter.model(block)
        assert [(not e.coarse, -e.level) for e in events] == sorted(
            (not e.coarse, -e.level) for e in events
        )
        levels = [0] * len(block)
        for event in events:
            levels[event.row] += event.level * (16 if event.coarse else 1) * (-1) ** event.negative
        assert levels == [code.level for code in block]


@pytest.mark.parametrize("integrator", ["mac", "spike"])
def test_block_summary(pipe, blocks, integrator):
    dut = block_summary.BlockSummary(PARAMS[integrator])
    results = pipe(dut, dut.split, split(blocks), dut.summary, idle=random.Random(2))
    sums = [(r.code_sum, r.count) for _, r in results]
    assert sums == [block_summary.model(b, integrator) for b in blocks]
    scales = [(r.mantissa, r.shift) for _, r in results]
    assert scales == [(i % 4, i % 9) for i in range(len(blocks))]


def test_event_counters(simulate, blocks):
    dut = event_counters.EventCounters(CoreParams(CoreConfig(max_inputs=2048)))

    async def bench(ctx):
        for _ in range(2):
            for item in split(blocks):
                ctx.set(dut.split.payload, item)
                ctx.set(dut.split.valid, 1)
                await ctx.tick()
            ctx.set(dut.split.valid, 0)
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
