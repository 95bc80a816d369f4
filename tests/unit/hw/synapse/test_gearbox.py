"""Beats of the gearbox against its integer model, with pauses on both sides."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from hw.synapse.gearbox import Beat, Gearbox, model

WIDTHS = [(32, 1024), (32, 64), (64, 64), (64, 32), (1024, 128)]


@pytest.mark.parametrize(
    ("source", "target", "beats", "changed"),
    [
        (8, 16, [(0x11, 0, 0), (0x22, 0, 1)], [(0x2211, 0, 1)]),
        (8, 16, [(1, 1, 0), (2, 0, 0), (3, 0, 0), (4, 1, 1)], [(0x201, 1, 0), (0x403, 1, 1)]),
        (16, 8, [(0x2211, 1, 0), (0x4433, 0, 1)], [(17, 1, 0), (34, 1, 0), (51, 0, 0), (68, 0, 1)]),
        (8, 8, [(7, 1, 0), (9, 0, 1)], [(7, 1, 0), (9, 0, 1)]),
    ],
)
def test_model(source, target, beats, changed):
    assert model([Beat(*beat) for beat in beats], source=source, target=target) == changed


def _bursts(draw, width, multiple, count):
    """Bursts whose beats are a multiple of that which a beat of the other width takes."""
    for _ in range(count):
        length = multiple * draw.randint(1, 5)
        for number in range(length):
            yield Beat(draw.getrandbits(width), draw.random() < 0.1, number == length - 1)


@pytest.mark.parametrize(("source", "target"), WIDTHS)
@pytest.mark.parametrize("idle", [0, 0.4], ids=["dense", "idle"])
def test_beats(source, target, idle):
    """Every beat once and in order, one a cycle where nobody pauses; what waits does not change."""
    draw = random.Random(source + target)
    parts = max(1, target // source)
    beats = list(_bursts(draw, source, parts, 6))
    expected = model(beats, source=source, target=target)
    dut = Gearbox(source=source, target=target)
    seen, cycles = [], 0

    async def bench(ctx):
        nonlocal cycles
        coming, waited = iter(beats), None
        beat = next(coming)
        quiet = 0
        while quiet < 200:
            offered = beat is not None and (waited is not None or draw.random() >= idle)
            ctx.set(dut.source.valid, offered)
            if offered:
                ctx.set(dut.source.p, beat._asdict())
            ctx.set(dut.target.ready, draw.random() >= idle)
            taken = offered and ctx.get(dut.source.ready)
            leaves = ctx.get(dut.target.valid)
            if leaves and ctx.get(dut.target.ready):
                out = ctx.get(dut.target.p)
                seen.append((out.data, out.error, out.last))
                cycles, quiet = cycles + quiet + 1, 0
            else:
                quiet += 1
            waited = beat if offered and not taken else None
            await ctx.tick()
            if taken:
                beat = next(coming, None)

    m = Module()
    m.domains.sync = ClockDomain()  # equal widths need none
    m.submodules.dut = dut
    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == expected
    if not idle:
        assert cycles == max(len(beats), len(expected))
