"""Spike lanes against their integer model, and that against the int64 dot product."""

import random

import numpy as np
import pytest

from hw.integrate.spike import Item, SpikeLanes, model
from hw.spec.codes import digits
from hw.spec.params import CoreConfig, CoreParams

#: What an item may do, in the order in which the lanes do it.
ORDER = ("times16", "gap", "last", "restart", "fire")


def _operations(codes, integer_from):
    """What a block takes: every code is a spike, or two digits from ``integer_from`` on."""
    coarse, fine = [], []
    for row, code in enumerate(map(int, codes)):
        high, low = digits(code) if abs(code) >= integer_from else (0, code)
        coarse += [(abs(high), row, high < 0)] if high else []
        fine += [(abs(low), row, low < 0)] if low else []
    for window in (coarse, fine):
        window.sort(reverse=True)
        if window or window is coarse:
            yield "restart", True
        levels = [level for level, _, _ in window] + [0]
        for (level, *event), following in zip(window, levels[1:], strict=True):
            yield "fire", event
            if window is fine and coarse and (level, *event) == fine[0]:
                yield "times16", True  # only now: this event shares the coarse window's last gap
            steps = level - following
            shifts = [2] * (steps // 4) + [1] * (steps % 4 // 2) + [0] * (steps % 2)
            yield from (("gap", shift) for shift in shifts)
    if coarse and not fine:
        yield "times16", True
    yield "last", True


def _items(blocks, integer_from):
    """Pack a vector's operations into as few items as their order allows; returns rows too."""
    packed, latest = [], len(ORDER)
    for codes in blocks:
        for name, value in _operations(codes, integer_from):
            if ORDER.index(name) <= latest:
                packed.append({})
            packed[-1][name] = value
            latest = ORDER.index(name)
    items, rows = [], []
    for operations in packed:
        row, negative = operations.get("fire", (None, False))
        flags = {name: name in operations for name in ("gap", "restart", "times16", "last")}
        shift = operations.get("gap", 0)
        items.append(Item(empty=row is None, negative=negative, gap_shift=shift, **flags))
        rows.append(row)
    return items, rows


def _blocks(lanes, seed):
    """Codes (32,) and weights (32, lanes): extreme, empty and random ones."""
    rng = np.random.default_rng([lanes, seed])
    for code in (255, -255, 0, 1, -8, 0, 16):
        for weight in (-8, 7):
            yield np.full(32, code), np.full((32, lanes), weight)
    one = np.zeros(32, int)
    one[17] = -255  # a gap of 255 where it is a spike
    yield one, rng.integers(-8, 8, (32, lanes))
    for largest in (255, 19, 3, 255):
        codes = rng.integers(-largest, largest + 1, 32)
        codes[rng.random(32) < 0.3] = 0
        yield codes, rng.integers(-8, 8, (32, lanes))


def _nibbles(row):
    return sum((int(w) & 15) << 4 * lane for lane, w in enumerate(row))


@pytest.mark.parametrize("integer_from", [1, 20, 256])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_sums(simulate, lanes, integer_from, idle):
    """Integers only, both, and spikes of levels up to 255."""
    params = CoreParams(CoreConfig(lanes=lanes, max_outputs=lanes, integrator="spike"))
    dut = SpikeLanes(params)
    blocks = list(_blocks(lanes, integer_from))
    items, rows = _items((codes for codes, _ in blocks), integer_from)
    draw, nothing, block = random.Random(7), [3] * lanes, 0
    weights = []
    for item, row in zip(items, rows, strict=True):
        block += item.last  # a row in this item belongs to the block that begins
        weights.append(nothing if row is None else list(map(int, blocks[block][1][row])))

    async def bench(ctx):
        number = 0
        for item, row in zip(items, weights, strict=True):
            while draw.random() < idle:
                ctx.set(dut.beat.row, 0)
                await ctx.tick()
            ctx.set(dut.weights, _nibbles(row))
            ctx.set(dut.beat, {"row": 1, **item._asdict(), "group": {"code_sum": number}})
            number += item.last
            await ctx.tick()
        ctx.set(dut.beat.row, 0)
        await ctx.tick().repeat(10)

    got = simulate(dut, bench, when=dut.handover, values=(dut.group.code_sum, *dut.sums))
    expected = [list(codes @ weights) for codes, weights in blocks]
    assert model(items, weights) == expected
    assert got == [(number, *sums) for number, sums in enumerate(expected)]
