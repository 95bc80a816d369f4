import random

import pytest
from amaranth.back import verilog
from amaranth.hdl import ResetInserter, Signal

from hw.encode import block_scale, scheduler
from hw.encode.model import Item, encode
from hw.encode.vector_encoder import VectorEncoder
from hw.spec import scales
from hw.spec.codes import TABLES
from hw.spec.crossbar import PRESETS
from hw.spec.encoder_cycles import encode_cycles, stored_cycles
from hw.spec.params import CoreConfig, CoreParams

INTEGRATORS = ("mac", "spike")
PARAMS = {name: CoreParams(CoreConfig(max_inputs=160, integrator=name)) for name in INTEGRATORS}
ITEMS = {"mac": Item, "spike": scheduler.Item}

#: Cycles from ``replay`` to the first item.
REPLAY = {"mac": 3, "spike": 4}

CONSTANT = scales.scale_constant(1.0)


async def load(ctx, dut, values):
    ctx.set(dut.input.en, 1)
    for address, value in enumerate(values):
        ctx.set(dut.input.address, address)
        ctx.set(dut.input.data, [value])
        await ctx.tick()
    ctx.set(dut.input.en, 0)


async def start(
    ctx, dut, inputs, table, *, constant, threshold, silent=None, codes=False, fixed=False
):
    """Encode what is loaded; return the cycles until it is encoded."""
    for port, value in (
        (dut.inputs, inputs),
        (dut.streamed, inputs),
        (dut.table, table.number),
        (dut.constant, constant),
        (dut.threshold, threshold),
        (dut.silent_level, table.silent_level if silent is None else silent),
        (dut.codes, codes),
        (dut.fixed, fixed),
    ):
        ctx.set(port, value)
    await ctx.tick().repeat(3)  # so much must be between the last write and the start
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    cycles = 1
    assert not ctx.get(dut.encoded)
    while not ctx.get(dut.encoded):
        assert not ctx.get(dut.events.valid)
        await ctx.tick()
        cycles += 1
        assert cycles < 1000, "never encoded"
    return cycles


def meaning(fields, integrator):
    """Return an item with 0 for what means nothing."""
    item = ITEMS[integrator](*(int(getattr(fields, name)) for name in ITEMS[integrator]._fields))
    meaningless = {"row", "code", "negative"} if item.empty else set()
    if integrator == "spike" and not item.ends_group:
        meaningless |= {"last_block", "mantissa", "shift", "code_sum"}
    return item._replace(**dict.fromkeys(meaningless & set(item._fields), 0))


async def replay(ctx, dut, *, count, rng=None):
    """Replay once, on for 20 cycles after the expected items; return (cycle, item) pairs."""
    taken, held, cycle, extra = [], None, 0, 20
    ctx.set(dut.replay, 1)
    while extra:
        ready = rng is None or rng.random() < 0.6
        ctx.set(dut.events.ready, ready)
        valid, fields = ctx.get(dut.events.valid), ctx.get(dut.events.payload)
        item = meaning(fields, dut.params.integrator)
        assert held is None or (valid and item == held), "changed while it waited"
        held = item if valid and not ready else None
        if valid and ready:
            taken.append((cycle, item))
        await ctx.tick()
        ctx.set(dut.replay, 0)
        cycle += 1
        extra -= len(taken) >= count
        assert cycle < 4000, "items are missing"
    return taken


def offered(items, stored, replay, *, integrator):
    """Cycle of each item of a replay that chases the encoder; a block's first waits for it."""
    block, cycle = 0, -1
    for number, item in enumerate(items):
        begins = number == 0 or (
            item.ends_group and not item.last_block
            if integrator == "spike"
            else items[number - 1].last
        )
        cycle += 1
        if begins:
            cycle = max(cycle, stored[block] + REPLAY[integrator])
            block += 1
        yield cycle - replay, item


async def chase(ctx, dut, values, expected, rng=None):
    """Encode what is loaded again, with a replay that begins at once."""
    integrator = dut.params.integrator
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    await ctx.tick()
    taken = await replay(ctx, dut, count=len(expected.items), rng=rng)
    assert [item for _, item in taken] == list(expected.items)
    assert ctx.get(dut.encoded)
    if rng:
        return
    digits = expected.digits if integrator == "spike" else None
    unscaled = bool(ctx.get(dut.codes | dut.fixed))
    stored = stored_cycles(len(values), digits, codes=unscaled, shared=dut.params.shared)
    assert taken == list(offered(expected.items, stored, 2, integrator=integrator))


async def check(ctx, dut, values, table, rng, **mode):
    integrator = dut.params.integrator
    shared = dut.params.shared
    expected = encode(values, table, integrator=integrator, shared=shared, **mode)
    await load(ctx, dut, values)
    cycles = await start(ctx, dut, len(values), table, **mode)
    counts = [ctx.get(getattr(dut, name)) for name in expected.counts._fields]
    assert counts == list(expected.counts)
    assert ctx.get(dut.bases[0]) == expected.base
    digits = expected.digits if integrator == "spike" else None
    unscaled = mode.get("codes", False) or mode.get("fixed", False)
    assert cycles == encode_cycles(len(values), digits, codes=unscaled, shared=shared)
    if len(values) < 40:
        taken = await replay(ctx, dut, count=len(expected.items))
        assert taken == list(enumerate(expected.items, start=REPLAY[integrator]))
    taken = await replay(ctx, dut, count=len(expected.items), rng=rng)
    assert [item for _, item in taken] == list(expected.items)
    await chase(ctx, dut, values, expected)
    if len(values) < 100:
        await chase(ctx, dut, values, expected, rng)


def laplace(rng, size, scale):
    values = (rng.expovariate(1 / scale) * rng.choice([-1, 1]) for _ in range(size))
    return [max(-32767, min(32767, round(value))) for value in values]


BOTH = pytest.mark.parametrize("integrator", INTEGRATORS)


@BOTH
@pytest.mark.parametrize("table", [t for t in TABLES.values() if t.linear], ids=lambda t: t.name)
def test_random_vectors(simulate, table, integrator):
    dut = VectorEncoder(PARAMS[integrator])

    async def bench(ctx):
        rng = random.Random(table.number)
        for size in (1, 31, 33, 95, 160):
            values = laplace(rng, size, rng.choice([3, 100, 4000]))
            mode = {
                "constant": rng.choice([CONSTANT, CONSTANT // 8]),
                "threshold": rng.choice([4, 4, 0, 12]),
                "silent": rng.choice(table.ladder) if table.masked else table.silent_level,
            }
            await check(ctx, dut, values, table, rng, **mode)

    simulate(dut, bench)


def test_blocks_of_an_array_share_a_scale(simulate):
    """Whole arrays of eight blocks, and such that the vector's end cuts off."""
    crossbar = PRESETS["ideal"].replace(rows=256)
    dut = VectorEncoder(
        CoreParams(CoreConfig(max_inputs=320, integrator="spike", crossbar=crossbar))
    )

    async def bench(ctx):
        rng = random.Random(8)
        for size in (33, 300):
            values = laplace(rng, size, rng.choice([3, 100, 4000]))
            mode = {"constant": CONSTANT, "threshold": 4}
            await check(ctx, dut, values, TABLES["companded"], rng, **mode)

    simulate(dut, bench)


@BOTH
@pytest.mark.parametrize("table", [t for t in TABLES.values() if not t.zero], ids=lambda t: t.name)
def test_codes(simulate, table, integrator):
    dut = VectorEncoder(PARAMS[integrator])

    async def bench(ctx):
        rng = random.Random(table.number)
        mode = {"constant": 9, "threshold": 77, "codes": True}
        for size, bound in ((3, 19), (95, 19)):
            values = [rng.choice([0, rng.randint(-bound, bound)]) for _ in range(size)]
            await check(ctx, dut, values, table, rng, **mode)
        everything = [*range(-255, -95), *range(-95, 65), *range(65, 225), *range(96, 256)]
        for i in range(0, len(everything), 160):
            await check(ctx, dut, everything[i : i + 160], table, rng, **mode)

    simulate(dut, bench)


@BOTH
@pytest.mark.parametrize("table", [t for t in TABLES.values() if not t.zero], ids=lambda t: t.name)
def test_fixed_scale(simulate, table, integrator):
    dut = VectorEncoder(PARAMS[integrator])

    async def bench(ctx):
        rng = random.Random(table.number)
        for threshold in (4, 13):
            mode = {"constant": 9, "threshold": threshold, "fixed": True}
            await check(ctx, dut, list(range(0, 256, 2)), table, rng, **mode)
            await check(ctx, dut, [rng.randrange(256) for _ in range(33)], table, rng, **mode)

    simulate(dut, bench)


#: Elements that are their own quotients: 1016 alone asks for the scale 128 / 16.
TIES = [1016] + [t + d for t in TABLES["companded"].thresholds for d in (-1, 0)] + [0]
TIES += [1016, 159, 160, -159, -160, 12, 13, -12, -13]

EXTREMES = [
    [0] * 95,  # zero
    [0],  # one
    [32767] * 160,  # largest
    [-32767] * 33,  # lowest
    [0] * 40 + [-32767] + [0] * 54,  # outlier
    [3, -2, 1, 0, 1] * 12 + [32767, -1, 1],  # outlier in noise
    [1] * 32 + [-32767, 32767] * 16 + [0] * 32 + [40, -40] * 16 + [7],  # clamped blocks
    [90, -70, 80, 60] * 8 + [50],  # full, then short
    [90, -70, 80, 60] * 8 + [0],  # full, then silent
    [0] * 32 + [90, -70, 80, 60] * 8,  # silent, then full
    [90, -70, 80, 60] * 16 + [1, 0, 0],  # full, full, nearly empty
    TIES,
]


@BOTH
@pytest.mark.parametrize(("constant", "threshold"), [(CONSTANT, 4), (1, 13), (4095, 0)])
def test_extremes(simulate, constant, threshold, integrator):
    dut = VectorEncoder(PARAMS[integrator])

    async def bench(ctx):
        rng = random.Random(0)
        mode = {"constant": constant, "threshold": threshold}
        for values in EXTREMES:
            await check(ctx, dut, values, TABLES["companded"], rng, **mode)

    simulate(dut, bench)


@BOTH
def test_abort(simulate, integrator):
    dut, reset = VectorEncoder(PARAMS[integrator]), Signal()
    mode = {"constant": CONSTANT, "threshold": 4}

    async def bench(ctx):
        rng = random.Random(3)
        for cycles in (1, 50, 90, 130, 190, 220):
            await load(ctx, dut, laplace(rng, 95, 300))
            ctx.set(dut.inputs, 95)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().repeat(cycles)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert ctx.get(dut.encoded)
            await check(ctx, dut, laplace(rng, 65, 300), TABLES["signed16"], rng, **mode)

    simulate(ResetInserter(reset)(dut), bench)


def test_fault_changes_one_code(simulate):
    dut = VectorEncoder(PARAMS["mac"])
    values = [5, 0, -7] * 30
    mode = {"constant": CONSTANT, "threshold": 4}

    async def bench(ctx):
        items = list(encode(values, TABLES["companded"], **mode).items)
        items[40] = items[40]._replace(code=items[40].code ^ 4)
        ctx.set(dut.fault, {"kind": 1, "bit": 2, "index": 40})
        await load(ctx, dut, values)
        await start(ctx, dut, len(values), TABLES["companded"], **mode)
        assert [item for _, item in await replay(ctx, dut, count=len(items))] == items

    simulate(dut, bench)


def test_ties_are_ties():
    for block in (TIES[:32], TIES[32:]):
        assert block_scale.model(block, 1) == scales.GRID.index(128)


@BOTH
def test_verilog(integrator):
    text = verilog.convert(VectorEncoder(PARAMS[integrator]), emit_src=False)
    assert "input start;" in text
