import random

import pytest

from hw.encode.event_memory import EventMemory
from hw.spec.params import CoreConfig, CoreParams

INTEGRATORS = ("mac", "spike")
PARAMS = {name: CoreParams(CoreConfig(max_inputs=160, integrator=name)) for name in INTEGRATORS}


def event(rng, integrator):
    if integrator == "mac":
        return {"row": rng.randrange(32), "code": rng.randint(-255, 255)}
    return {
        "row": rng.randrange(32),
        "level": rng.randrange(256),
        "coarse": rng.randrange(2),
        "negative": rng.randrange(2),
    }


def vector(rng, counts, integrator):
    """Blocks of random events; every block is a header and its events."""
    return [
        (
            {
                "mantissa": rng.randrange(4),
                "shift": rng.randrange(9),
                "code_sum": rng.randint(-8160, 8160),
                "count": count,
            },
            [event(rng, integrator) for _ in range(count)],
        )
        for count in counts
    ]


def items(blocks):
    """Fields of every item of a replay; those of no event mean nothing."""
    for number, (header, events) in enumerate(blocks):
        for i, event in enumerate(events or [{}]):
            yield {
                **event,
                "empty": not events,
                "last": i == max(0, len(events) - 1),
                "last_block": number == len(blocks) - 1,
                **{name: header[name] for name in ("mantissa", "shift", "code_sum")},
            }


async def write(ctx, dut, blocks, *, complete=None):
    """Write headers and events; they come on streams of their own. All blocks become complete."""
    complete = len(blocks) if complete is None else complete
    ctx.set(dut.clear, 1)
    await ctx.tick()
    ctx.set(dut.clear, 0)
    ctx.set(dut.storing, 1)
    for stream, values in (
        (dut.header, [header for header, _ in blocks]),
        (dut.fired, [event for _, events in blocks for event in events]),
    ):
        ctx.set(stream.valid, 1)
        for value in values:
            ctx.set(stream.payload, value)
            await ctx.tick()
        ctx.set(stream.valid, 0)
    ctx.set(dut.blocks, len(blocks))
    ctx.set(dut.complete, 1)
    await ctx.tick().repeat(complete)
    ctx.set(dut.complete, 0)
    assert ctx.get(dut.completed) == complete
    ctx.set(dut.storing, complete < len(blocks))
    await ctx.tick()


async def replay(ctx, dut, *, cycles, rng=None):
    """Start a replay; return (cycle, fields) of what was taken within the cycles."""
    taken, held = [], None
    ctx.set(dut.replay, 1)
    for cycle in range(cycles):
        ready = rng is None or rng.random() < 0.6
        ctx.set(dut.events.ready, ready)
        valid, payload = ctx.get(dut.events.valid), ctx.get(dut.events.payload)
        fields = {name: int(getattr(payload, name)) for name in payload.shape().members}
        if held is not None:
            assert valid and fields == held
        held = fields if valid and not ready else None
        if valid and ready:
            taken.append((cycle, fields))
        await ctx.tick()
        ctx.set(dut.replay, 0)
    assert held is None
    return taken


async def collect(ctx, dut, *, cycles):
    """Return what is offered within the cycles, all of it taken, in the form of a replay's."""
    taken = []
    ctx.set(dut.events.ready, 1)
    for cycle in range(cycles):
        if ctx.get(dut.events.valid):
            payload = ctx.get(dut.events.payload)
            fields = {name: int(getattr(payload, name)) for name in payload.shape().members}
            taken.append((cycle, fields))
        await ctx.tick()
    return taken


def meaning(taken):
    event = {"row", "code", "coarse", "negative", "level"}
    return [
        {name: v for name, v in f.items() if not (f["empty"] and name in event)} for _, f in taken
    ]


BOTH = pytest.mark.parametrize("integrator", INTEGRATORS)

COUNTS = [[0], [1], [32], [0, 0, 0], [1, 0, 1, 1, 0], [32, 31, 0, 1, 32], [32] * 5, [0, 5, 2]]


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_replays(simulate, seed, integrator):
    dut = EventMemory(PARAMS[integrator])

    async def bench(ctx):
        rng = random.Random(seed)
        for counts in COUNTS + ([[64] * 5] if integrator == "spike" else []):
            blocks = vector(rng, counts, integrator)
            expected = list(items(blocks))
            await write(ctx, dut, blocks)
            for stalls, tiles in ((None, 1), (rng, 1), (None, 2)):
                ctx.set(dut.tiles, tiles)
                cycles = tiles * 3 * len(expected) + 30
                taken = await replay(ctx, dut, cycles=cycles, rng=stalls)
                assert meaning(taken) == tiles * expected
                if stalls is None:
                    assert [c for c, _ in taken] == [3 + i for i in range(tiles * len(expected))]

    simulate(dut, bench)


@BOTH
@pytest.mark.parametrize("parts", [2, 8])
def test_parts(simulate, integrator, parts):
    """Where a tile is wider than the core, each block comes once for every part of it."""
    config = PARAMS[integrator].config
    dut = EventMemory(CoreParams(config.replace(tile_lanes=parts * config.lanes)))

    async def bench(ctx):
        rng = random.Random(parts)
        for counts in ([0], [1], [7, 0, 2, 3]):
            blocks = vector(rng, counts, integrator)
            expected, block = [], []
            for item in items(blocks):
                block.append(item)
                if item["last"]:
                    expected, block = expected + parts * block, []
            await write(ctx, dut, blocks)
            ctx.set(dut.tiles, 2)
            taken = await replay(ctx, dut, cycles=2 * len(expected) + 10)
            assert meaning(taken) == 2 * expected
            assert [c for c, _ in taken] == [3 + i for i in range(2 * len(expected))]

    simulate(dut, bench)


def interleaved(vectors, parts):
    """Items of a batch: a block for every part of the tile, vector after vector, then the next."""
    blocks = []
    for blocks_of_one in vectors:
        runs, run = [], []
        for item in items(blocks_of_one):
            run.append(item)
            if item["last"]:
                runs, run = [*runs, run], []
        blocks.append(runs)
    return [item for runs in zip(*blocks, strict=True) for run in runs for item in parts * run]


@BOTH
@pytest.mark.parametrize(("batch", "parts"), [(2, 1), (3, 1), (5, 2)])
def test_batch(simulate, integrator, batch, parts):
    """Each block comes for one vector after the other, again for every tile and replay."""
    config = PARAMS[integrator].config.replace(memory="axi", batch=batch)
    dut = EventMemory(CoreParams(config.replace(tile_lanes=parts * config.lanes)))

    async def bench(ctx):
        rng = random.Random(batch)
        for number_of_blocks in (1, 4, 5):
            for first, count in ((0, batch), (batch - 1, 1), (1, batch - 1)):
                counts = [
                    [rng.choice([0, 1, 7, 32]) for _ in range(number_of_blocks)]
                    for _ in range(count)
                ]
                vectors = [vector(rng, counts_of_one, integrator) for counts_of_one in counts]
                for number, blocks in enumerate(vectors):
                    ctx.set(dut.vector, first + number)
                    await ctx.tick()
                    await write(ctx, dut, blocks)
                ctx.set(dut.first, first)
                ctx.set(dut.final, first + count - 1)
                await ctx.tick().repeat(3)
                expected = interleaved(vectors, parts)
                for stalls, tiles in ((None, 1), (rng, 2), (None, 2)):
                    ctx.set(dut.tiles, tiles)
                    cycles = tiles * 3 * len(expected) + 30
                    taken = await replay(ctx, dut, cycles=cycles, rng=stalls)
                    assert meaning(taken) == tiles * expected
                    if stalls is None:
                        assert [c for c, _ in taken] == [3 + i for i in range(len(taken))]

    simulate(dut, bench)


@BOTH
def test_stores_beside_a_replay(simulate, integrator):
    """A vector is written, then stays unfinished, while those before it are replayed."""
    dut = EventMemory(CoreParams(PARAMS[integrator].config.replace(memory="axi", batch=3)))

    async def bench(ctx):
        rng = random.Random(8)
        vectors = [vector(rng, [5, 0, 32], integrator) for _ in range(3)]
        for number in (1, 2):
            ctx.set(dut.vector, number)
            await ctx.tick()
            await write(ctx, dut, vectors[number])
        ctx.set(dut.first, 1)
        ctx.set(dut.final, 2)
        ctx.set(dut.tiles, 2)
        ctx.set(dut.vector, 0)
        await ctx.tick().repeat(2)
        ctx.set(dut.replay, 1)
        await ctx.tick()
        ctx.set(dut.replay, 0)
        await write(ctx, dut, vectors[0], complete=1)
        ctx.set(dut.replay, 0)
        taken = await collect(ctx, dut, cycles=200)
        assert meaning(taken) == 2 * interleaved(vectors[1:], 1)
        # The vector that is being stored may be replayed as well, as far as it is there.
        ctx.set(dut.first, 0)
        ctx.set(dut.final, 0)
        ctx.set(dut.tiles, 1)
        await ctx.tick().repeat(2)
        taken = await replay(ctx, dut, cycles=100)
        assert meaning(taken) == list(items(vectors[0]))[:5]
        ctx.set(dut.complete, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.complete, 0)
        taken += await collect(ctx, dut, cycles=100)
        assert meaning(taken) == list(items(vectors[0]))

    simulate(dut, bench)


@BOTH
@pytest.mark.parametrize("events", [0, 1, 2])
def test_the_last_of_a_batch_is_awaited(simulate, integrator, events):
    """A block of the vector that is being stored is not offered early, however short the others."""
    dut = EventMemory(CoreParams(PARAMS[integrator].config.replace(memory="axi", batch=2)))

    async def bench(ctx):
        rng = random.Random(events)
        vectors = [vector(rng, [events] * 3, integrator) for _ in range(2)]
        for number, complete in ((0, 3), (1, 1)):
            ctx.set(dut.vector, number)
            await ctx.tick()
            await write(ctx, dut, vectors[number], complete=complete)
        ctx.set(dut.final, 1)
        await ctx.tick().repeat(3)
        expected = interleaved(vectors, 1)
        each = len(expected) // 6
        taken = await replay(ctx, dut, cycles=100)
        assert meaning(taken) == expected[: 3 * each]
        for blocks in (5, 6):
            ctx.set(dut.complete, 1)
            await ctx.tick()
            ctx.set(dut.complete, 0)
            taken += await collect(ctx, dut, cycles=30)
            assert meaning(taken) == expected[: blocks * each]

    simulate(dut, bench)


@BOTH
@pytest.mark.parametrize(("bit", "index"), [(0, 0), (8, 36), (9, 35), (63, 4), (3, 70), (3, 71)])
def test_fault(simulate, bit, index, integrator):
    dut = EventMemory(PARAMS[integrator])
    name, width = ("code", 9) if integrator == "mac" else ("level", 8)

    async def bench(ctx):
        blocks = vector(random.Random(5), [4, 0, 32, 3, 32], integrator)
        for kind in (0, 1, 2):
            ctx.set(dut.fault, {"kind": kind, "bit": bit, "index": index})
            await write(ctx, dut, blocks)
            taken = [f for _, f in await replay(ctx, dut, cycles=90) if not f["empty"]]
            codes = [event[name] for _, events in blocks for event in events]
            if kind == 1 and index < len(codes):
                flipped = codes[index] & (1 << width) - 1 ^ 1 << bit % width
                codes[index] = flipped - (flipped >> 8 << 9)
            assert [f[name] for f in taken] == codes

    simulate(dut, bench)


@BOTH
def test_waiting_items_close_up(simulate, integrator):
    """A block that is stored while the one before waits comes right behind it."""
    dut = EventMemory(PARAMS[integrator])

    async def bench(ctx):
        await write(ctx, dut, vector(random.Random(1), [1, 1], integrator), complete=1)
        ctx.set(dut.replay, 1)
        await ctx.tick()
        ctx.set(dut.replay, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.complete, 1)
        await ctx.tick()
        ctx.set(dut.complete, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.events.ready, 1)
        offered = []
        for _ in range(4):
            offered.append(ctx.get(dut.events.valid))
            await ctx.tick()
        assert offered == [1, 1, 0, 0]

    simulate(dut, bench)
