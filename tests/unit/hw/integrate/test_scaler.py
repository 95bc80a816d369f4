"""Group scaler against ``S_g * (d * (P + (m - z) * R) + b * X)``."""

import numpy as np
import pytest

from hw.integrate.scaler import GroupScaler
from hw.spec.cycles import group_interval, lanes_per_stream
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams

GROUPS_PER_TILE = (3, 1, 2)


class Group:
    """Random or extreme inputs of the scaler for one group, and what they add."""

    def __init__(self, rng, params, weights, *, extreme, silent):
        lanes = params.lanes
        outputs = weights.outputs(lanes)
        self.mantissa, self.shift = rng.integers(0, 4), rng.integers(0, 9)
        self.d, self.b = rng.integers(-127, 128, (2, outputs))
        codes = rng.integers(-255, 256, 32)
        nibbles = rng.integers(-8, 8, (32, lanes))
        row_sums = rng.integers(-256, 225, lanes)
        if extreme:
            self.mantissa, self.shift = 3, 8
            self.d, self.b = np.repeat([[127], [-127]], outputs, axis=1)
            codes[:], nibbles[:] = 255 - max(silent, 0), -8
            row_sums[:] = -256
        self.code_sum, self.sums = int(codes.sum()), codes @ nibbles
        whole = self.sums + silent * row_sums
        scale = (int(self.mantissa) + 4) << int(self.shift)
        if weights is W4:
            self.terms = scale * (self.d * whole + self.b * self.code_sum)
            scales = [self.d, self.b]
        else:
            self.terms = scale * self.d * (16 * whole[1::2] + whole[0::2] + 8 * self.code_sum)
            scales = [self.d]
        self.beats = _beats(params, b"".join(s.astype(np.int8).tobytes() for s in scales))
        self.scale_beats = len(self.beats)
        if silent:
            self.beats += _beats(params, row_sums.astype("<i2").tobytes())


def _beats(params, packed):
    word, count = int.from_bytes(packed, "little"), 8 * len(packed) // params.beat_bits
    return [word >> params.beat_bits * i & (1 << params.beat_bits) - 1 for i in range(count)]


def _schedule(params, tiles, rng, idle):
    """Cycles of scale and sum beats and handovers, the closest that the tile engine may produce."""
    beats, handovers, now = {}, {}, 0
    for groups in tiles:
        for i, group in enumerate(groups):
            for k, beat in enumerate(group.beats):
                beats[now + k] = (k < group.scale_beats, beat)
            least = max(group_interval(params), len(group.beats) + 1)
            now += least + (int(rng.integers(0, 9)) if idle else 0)
            handovers[now] = (group, i == 0, i == len(groups) - 1)
    return beats, handovers, now


@pytest.mark.parametrize("idle", [False, True], ids=["dense", "idle"])
@pytest.mark.parametrize("silent", [0, 7, -128])
def test_accumulators(shape, simulate, idle, silent):
    params, weights = shape
    rng = np.random.default_rng(params.lanes)
    tiles = [
        [Group(rng, params, weights, extreme=i == 0, silent=silent) for _ in range(count)]
        for i, count in enumerate(GROUPS_PER_TILE)
    ]
    beats, handovers, end = _schedule(params, tiles, rng, idle)
    dut = GroupScaler(params)

    async def bench(ctx):
        ctx.set(dut.wide, weights is W8)
        ctx.set(dut.silent, silent)
        for cycle in range(end + 60):
            scale, beat = beats.get(cycle, (False, 0))
            ctx.set(dut.beat.scale, scale)
            ctx.set(dut.beat.sums, cycle in beats and not scale)
            ctx.set(dut.weights, beat)
            ctx.set(dut.handover, cycle in handovers)
            if cycle in handovers:
                group, first, last = handovers[cycle]
                for name in ("mantissa", "shift", "code_sum"):
                    ctx.set(getattr(dut.group, name), int(getattr(group, name)))
                ctx.set(dut.group.first, first)
                ctx.set(dut.group.last, last)
                for lane, value in enumerate(group.sums):
                    ctx.set(dut.sums[lane], int(value))
            await ctx.tick()

    values = (dut.last, dut.ends, dut.slot, *dut.results)
    got = simulate(dut, bench, when=dut.valid | dut.ends, values=values)
    lanes = lanes_per_stream(params)
    slots = weights.outputs(lanes)
    assert len(got) == len(tiles) * slots
    for tile, groups in enumerate(tiles):
        expected = sum(group.terms for group in groups)
        for slot in range(slots):
            last, ends, number, *results = got[tile * slots + slot]
            assert (last, ends, number) == (slot == slots - 1, slot == slots - 1, slot)
            wanted = expected[slot::slots]
            assert results[: len(wanted)] == list(wanted)


@pytest.mark.parametrize("final", [0, 1, 2])
def test_end_of_a_batch(simulate, final):
    """A tile ends with its last vector, and with a group that is the tile's last."""
    params = CoreParams(CoreConfig(lanes=8, memory="axi", memory_beats=4096, batch=3))
    dut = GroupScaler(params)
    turns = [
        (vector, last) for _ in range(2) for last in (False, True) for vector in range(final + 1)
    ]

    async def bench(ctx):
        ctx.set(dut.final, final)
        for vector, last in turns:
            ctx.set(dut.group.vector, vector)
            ctx.set(dut.group.last, last)
            ctx.set(dut.handover, 1)
            await ctx.tick()
            ctx.set(dut.handover, 0)
            await ctx.tick().repeat(group_interval(params) - 1)
        await ctx.tick().repeat(20)

    got = simulate(dut, bench, when=dut.valid | dut.ends, values=(dut.valid, dut.last, dut.ends))
    slots = lanes_per_stream(params)
    assert got == [
        (1, slot == slots - 1, vector == final and slot == slots - 1)
        for vector, last in turns
        if last
        for slot in range(slots)
    ]
