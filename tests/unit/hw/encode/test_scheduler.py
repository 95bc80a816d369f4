import random

import pytest

from hw.encode.event_sorter import Fired
from hw.encode.scheduler import Block, Item, Scheduler, gap_shifts, model
from hw.spec.params import CoreConfig, CoreParams

PARAMS = CoreParams(CoreConfig(max_inputs=160, integrator="spike"))
BLOCK_FIELDS = ("last_block", "mantissa", "shift", "code_sum")


def fine(*levels):
    return [Fired(row, False, row % 3 == 1, level) for row, level in enumerate(levels)]


def coarse(*levels):
    return [Fired(row, True, row % 3 == 2, level) for row, level in enumerate(levels)]


def random_block(rng):
    top = rng.choice([1, 9, 19, 255])
    levels = [
        sorted((rng.randint(1, bound) for _ in range(rng.choice([0, 0, 1, 5, 32]))), reverse=True)
        for bound in (16, top)
    ]
    return coarse(*levels[0]) + fine(*levels[1])


def vectors(rng):
    """Vectors by hand, then random ones."""
    yield [[]]
    yield [[], [], []]
    yield [fine(255)]
    yield [coarse(16)]
    yield [coarse(16, 1), [], fine(1), coarse(1), coarse(3)]
    yield [fine(*[7] * 32), coarse(*[5] * 32) + fine(*[5] * 32), fine(6, 3, 1)]
    for _ in range(20):
        yield [random_block(rng) for _ in range(rng.randint(1, 5))]


def headers(rng, vector):
    return [
        Block(rng.randrange(4), rng.randrange(9), rng.randint(-8160, 8160), events)
        for events in vector
    ]


def integrate(items, weights):
    """Do what the items say; return what is handed over, with the block's fields."""
    current, potential, block, sums = 0, 0, 0, []
    for i, item in enumerate(items):
        potential <<= 4 * item.times16
        potential += (current << item.gap_shift) * item.gap
        if item.ends_group:
            sums.append((potential, [getattr(item, name) for name in BLOCK_FIELDS]))
            potential, block = 0, block + 1
        current = 0 if item.restart else current
        if not item.empty:
            current += weights[block][item.row] * (-1) ** item.negative
        assert item.empty or i < len(items) - 1
    return sums


def test_gap_shifts():
    shifts = {0: [], 1: [0], 2: [1], 3: [1, 0], 4: [2], 5: [2, 0], 6: [2, 1], 7: [2, 1, 0]}
    for gap, expected in shifts.items():
        assert gap_shifts(gap) == expected
        assert gap_shifts(gap + 8) == [2, 2, *expected]


def test_model_by_hand():
    blocks = [Block(1, 2, 3, coarse(2) + fine(5)), Block(0, 8, -1, fine(4))]
    assert model(blocks) == [
        Item(row=0, empty=False, restart=True),
        Item(row=0, empty=False, restart=True, gap=True, gap_shift=1),
        Item(times16=True, gap=True, gap_shift=2),
        Item(0, False, False, True, 0, True, False, True, False, 1, 2, 3),
        Item(0, False, True, True, 2, True, False, True, True, 0, 8, -1),
    ]


def test_model_integrates():
    """Sums are those of weights times levels."""
    rng = random.Random(4)
    for vector in vectors(rng):
        weights = [[rng.randint(-8, 7) for _ in range(32)] for _ in vector]
        blocks = headers(rng, vector)
        expected = [
            (
                sum(
                    weights[i][e.row] * e.level * (16 if e.coarse else 1) * (-1) ** e.negative
                    for e in block.events
                ),
                [i == len(blocks) - 1, block.mantissa, block.shift, block.code_sum],
            )
            for i, block in enumerate(blocks)
        ]
        assert integrate(model(blocks), weights) == expected


def events(blocks):
    for number, block in enumerate(blocks):
        for i, event in enumerate(block.events or [None]):
            yield {
                **(event._asdict() if event else {"row": 9, "level": 200, "coarse": 1}),
                "empty": not block.events,
                "last": i == max(0, len(block.events) - 1),
                "last_block": number == len(blocks) - 1,
                **{name: getattr(block, name) for name in BLOCK_FIELDS[1:]},
            }


def meaning(payload):
    fields = {name: int(getattr(payload, name)) for name in Item._fields}
    meaningless = ("row", "negative") if fields["empty"] else ()
    meaningless += () if fields["ends_group"] else BLOCK_FIELDS
    return Item(**{**fields, **dict.fromkeys(meaningless, 0)})


@pytest.mark.parametrize("stalls", [False, True])
def test_scheduler(simulate, stalls):
    rng = random.Random(7)
    dut = Scheduler(PARAMS)

    async def bench(ctx):
        for vector in vectors(rng):
            blocks = headers(rng, vector)
            expected, offered = model(blocks), list(events(blocks))
            taken, held, cycle = [], None, 0
            while len(taken) < len(expected) or cycle < len(expected) + 9:
                ctx.set(dut.events.valid, bool(offered) and not (stalls and rng.random() < 0.2))
                ctx.set(dut.items.ready, not stalls or rng.random() < 0.7)
                if offered:
                    ctx.set(dut.events.payload, offered[0])
                if ctx.get(dut.events.valid) and ctx.get(dut.events.ready):
                    offered.pop(0)
                item = meaning(ctx.get(dut.items.payload)) if ctx.get(dut.items.valid) else None
                assert held is None or held == item, "changed while it waited"
                ready = ctx.get(dut.items.ready)
                held = None if ready else item
                if item and ready:
                    taken.append((cycle, item))
                await ctx.tick()
                cycle += 1
                assert cycle < 2000, "items are missing"
            assert [item for _, item in taken] == expected
            if not stalls:
                assert [cycle for cycle, _ in taken] == [1 + i for i in range(len(expected))]

    simulate(dut, bench)


def test_faulty_levels_end(simulate):
    """Levels out of order pass as a gap modulo 256: wrong, but finite."""
    dut = Scheduler(PARAMS)

    async def bench(ctx):
        blocks = [Block(0, 0, 0, fine(3, 67, 1))]
        ctx.set(dut.items.ready, 1)
        taken, offered = [], list(events(blocks))
        for _ in range(150):
            ctx.set(dut.events.valid, bool(offered))
            if offered:
                ctx.set(dut.events.payload, offered[0])
                if ctx.get(dut.events.ready):
                    offered.pop(0)
            if ctx.get(dut.items.valid):
                taken.append(meaning(ctx.get(dut.items.payload)))
            await ctx.tick()
        assert sum(item.gap << item.gap_shift for item in taken if item.gap) == 256 + 3
        assert taken[-1].ends_group and taken[-1].last_block

    simulate(dut, bench)
