"""Tile engine against its address order, counters and the closed cycle formula."""

import random

import pytest
from amaranth.sim import Simulator

from hw.integrate.beat import SPIKE_FIELDS
from hw.integrate.tile_engine import TileEngine
from hw.spec.cycles import MEMORY_LATENCY, accounted_cycles, group_interval, integrate_cycles
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams

TILES = 3
BASE = 11
BLOCKS = [5, 0, 32, 1]
ITEMS = [max(count, 1) for count in BLOCKS]


def _mac_items(draw):
    """Events of each block, the last of which hands it over."""
    for count in BLOCKS:
        rows = draw.sample(range(32), count) or [0]
        for i, row in enumerate(rows):
            event = {"row": row, "code": draw.randrange(-255, 256), "empty": count == 0}
            yield {**event, "last": i == len(rows) - 1}


def _spike_items(draw):
    """As many items up to each handover, the last of which is the next block's first."""
    for block, count in enumerate(BLOCKS):
        for i in range(max(count, 1)):
            flags = {f: draw.randrange(1 << bits) for f, bits in SPIKE_FIELDS.items()}
            last = i + 1 >= count
            if last and block == len(BLOCKS) - 1:
                flags["empty"] = 1
            yield {"row": draw.randrange(32), **flags, "ends_group": last}


def _vector(integrator, seed):
    """Items of a replay: dictionaries of event fields."""
    draw = random.Random(seed)
    items, block, shared = [], 0, None
    for item in (_mac_items if integrator == "mac" else _spike_items)(draw):
        shared = shared or {
            "mantissa": draw.randrange(4),
            "shift": draw.randrange(9),
            "code_sum": draw.randrange(-8160, 8161),
            "last_block": block == len(BLOCKS) - 1,
        }
        items.append({**item, **shared})
        if item.get("last") or item.get("ends_group"):
            block, shared = block + 1, None
    return items


def _expected(items, weights, sums, params):
    """Reads of heads (address or place, is a scale) and items (address or row, fields), in order.

    Whatever is in parentheses is what a beat's command says.
    """
    head, group = weights.head_beats(sums=sums), weights.group_beats(sums=sums)
    base = 0 if params.external else BASE
    heads, rows = [], []
    for number in range(TILES * len(BLOCKS)):
        first = base + (0 if params.external else number * group)
        heads += [(first + k, k < weights.scale_beats) for k in range(head)]
    for tile in range(TILES):
        number = tile * len(BLOCKS)
        for item in items:
            ends = item["last" if params.integrator == "mac" else "ends_group"]
            later = number + (ends and params.integrator == "spike")
            row = item["row"] + (0 if params.external else BASE + head + later * group)
            names = ("code",) if params.integrator == "mac" else SPIKE_FIELDS
            fields = [item[name] for name in names]
            if params.integrator == "mac" and item["empty"]:
                fields = [0]
            rows.append((None if item["empty"] else row, (ends, *fields)))
            number += ends
    return heads, rows


class Memory:
    """Follows the groups that the engine enters; outside they are ready at random times."""

    def __init__(self, dut, params, draw, idle):
        self.dut, self.external = dut, params.external
        self._draw, self._idle = draw, idle
        self.group = -1 if params.external else 0
        self.ready = 0

    def step(self, ctx):
        """Offer a group for the next cycle."""
        read = self.dut.read
        if self.external:
            if ctx.get(read.next):
                assert self.ready > 0
                self.group, self.ready = self.group + 1, self.ready - 1
            left = TILES * len(BLOCKS) - 1 - self.group - self.ready
            self.ready += left > 0 and self._draw.random() >= self._idle
            ctx.set(read.ready, self.ready > 0)


@pytest.mark.parametrize(
    ("memory", "lanes"), [("onchip", 1), ("onchip", 8), ("onchip", 64), ("axi", 8), ("axi", 64)]
)
@pytest.mark.parametrize("weights", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize("sums", [False, True], ids=["", "sums"])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_beats(lanes, weights, sums, idle, integrator, memory):
    """Every read and command in order, none early; each cycle is an item, a head or a stall."""
    config = CoreConfig(lanes=lanes, memory_beats=500, max_outputs=lanes, integrator=integrator,
                        memory=memory, axi_data_width=4 * lanes)  # fmt: skip
    params = CoreParams(config)
    dut = TileEngine(params)
    items = _vector(integrator, lanes)
    draw = random.Random(5)
    model = Memory(dut, params, draw, 0.9 if idle else 0)
    heads, rows, ends, entries = [], [], [], []
    counters = {}

    async def bench(ctx):
        ctx.set(dut.wide, weights is W8)
        ctx.set(dut.sums, sums)
        ctx.set(dut.tiles, TILES)
        ctx.set(dut.weight_base, BASE)
        ctx.set(dut.read.ready, not params.external)
        await ctx.tick().repeat(3)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        cycles = 0

        async def tick():
            nonlocal cycles
            await ctx.tick()
            model.step(ctx)
            cycles += 1

        for item in TILES * items:
            while draw.random() < idle:
                await tick()
            ctx.set(dut.events.valid, 1)
            ctx.set(dut.events.payload, item)
            while not ctx.get(dut.events.ready):
                await tick()
            await tick()
            ctx.set(dut.events.valid, 0)
        await ctx.tick().repeat(2)
        for name in ("rows_read", "beats_read", "stall_encoder", "stall_scaler", "stall_memory"):
            counters[name] = ctx.get(getattr(dut, name))
        counters["cycles"] = cycles
        await ctx.tick().repeat(20)

    async def watch(ctx):
        read = dut.read
        signals = (read.head_en, read.head_place, read.en, read.place, read.address, dut.beat)
        history, cycle, group, replays = [], 0, 0, 0
        async for _, _, replay, enters, *sample in ctx.tick().sample(
            dut.replay, read.next, *signals
        ):
            cycle += 1
            replays += replay
            group += enters
            *reads, beat = sample
            history.append((*reads, group))
            if len(history) <= MEMORY_LATENCY:
                continue
            head_en, head_place, en, row, address, entered = history[-1 - MEMORY_LATENCY]
            if beat.scale or beat.sums:
                assert head_en and beat.scale != beat.sums
                heads.append((head_place if params.external else address, beat.scale))
                entries.append((entered, "head"))
            if beat.row:
                names = ("code",) if integrator == "mac" else SPIKE_FIELDS
                at = row if params.external else address
                fields = (beat.last, *(getattr(beat, n) for n in names))
                rows.append((at if en else None, fields))
                if en:
                    entries.append((entered, len(rows)))
                if beat.last:
                    ends.append((cycle, beat.group.last, beat.group.first, len(heads)))
        assert replays == 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(watch)
    simulator.run()

    assert (heads, rows) == _expected(items, weights, sums, params)
    head = weights.head_beats(sums=sums)
    groups = TILES * len(BLOCKS)
    assert counters["rows_read"] == sum(row is not None for row, _ in rows)
    assert counters["beats_read"] == counters["rows_read"] + groups * head
    flags = [(block == len(BLOCKS) - 1, block == 0) for block in range(len(BLOCKS))]
    assert [end[1:3] for end in ends] == TILES * flags
    times = [end[0] for end in ends]
    assert all(b - a >= group_interval(params) for a, b in zip(times, times[1:], strict=False))
    assert [end[3] for end in ends] == [head * (number + 1) for number in range(groups)]

    stalls = sum(value for name, value in counters.items() if name.startswith("stall_"))
    fixed = accounted_cycles(params, weights, 0, ITEMS, stalls=0)
    accounted = accounted_cycles(params, weights, TILES, ITEMS, stalls=stalls, sums=sums)
    assert counters["cycles"] == accounted - fixed
    if params.external:
        _check_entries(entries, rows, head, integrator)
    elif not idle:
        expected = integrate_cycles(params, weights, TILES, ITEMS, sums=sums)
        assert counters["cycles"] == expected.cycles
        assert counters["stall_scaler"] == expected.stall_scaler
        assert counters["stall_encoder"] == counters["stall_memory"] == 0


def _check_entries(entries, rows, head, integrator):
    """Every read is made while its own group is the one that memory reads."""
    read = [group for group, kind in entries if kind == "head"]
    assert read == [1 + i // head for i in range(len(read))]
    group = 1
    groups = []
    for _, (ends, *_) in rows:
        groups.append(group + (ends and integrator == "spike"))
        group += ends
    for entered, number in entries:
        assert number == "head" or entered == groups[number - 1]
