"""Drives components through their streams, with pauses on both sides."""

from __future__ import annotations

import random
from collections import defaultdict

from amaranth.sim import Simulator

WIDTHS = (1, 3, 4)


def run(dut, sources, sinks, *, constants=(), seed=None, settle=100, lead=0):
    """Send items and return every transfer, by stream name: a list of (cycle, payload).

    Parameters
    ----------
    dut : Component
        What is driven.
    sources : dict
        Items per stream name.
    sinks : sequence of str
        Streams that are read.
    constants : sequence
        Pairs of a port and the one value that it keeps.
    seed : int, optional
        Seed of the pauses on both sides; without it there are none.
    settle : int
        Cycles after the last item.
    lead : int
        Cycles before the first.
    """
    transfers = defaultdict(list)
    names = [*sources, *sinks]

    def source(name, items):
        port, rng = getattr(dut, name), random.Random(f"{seed}{name}")

        async def bench(ctx):
            if lead:
                await ctx.tick().repeat(lead)
            for item in items:
                while seed is not None and rng.random() < 0.3:
                    await ctx.tick()
                ctx.set(port.payload, item)
                ctx.set(port.valid, 1)
                await ctx.tick().until(port.ready)
                ctx.set(port.valid, 0)
            await ctx.tick().repeat(settle)

        return bench

    def sink(name):
        port, rng = getattr(dut, name), random.Random(f"{seed}{name}")

        async def bench(ctx):
            while True:
                ctx.set(port.ready, seed is None or rng.random() < 0.3)
                await ctx.tick()

        return bench

    async def watch(ctx):
        ports = [getattr(dut, name) for name in names]
        signals = [signal for port in ports for signal in (port.valid, port.ready, port.payload)]
        cycle = 0
        async for _, _, *values in ctx.tick().sample(*signals):
            for i, name in enumerate(names):
                valid, ready, payload = values[3 * i : 3 * i + 3]
                if valid and ready:
                    transfers[name].append((cycle, payload))
            cycle += 1

    async def keep(ctx):
        for port, value in constants:
            ctx.set(port, value)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(keep)
    for name, items in sources.items():
        simulator.add_testbench(source(name, items))
    for name in sinks:
        if not getattr(dut, name).signature.always_ready:
            simulator.add_testbench(sink(name), background=True)
    simulator.add_process(watch)
    simulator.run()
    return transfers


def beats(values, width, *, filler):
    """Cut a vector into beats; ``filler`` stands behind the last elements."""
    cut = [values[i : i + width] for i in range(0, len(values), width)]
    return [
        {
            "elements": [*part, *[filler] * (width - len(part))],
            "count": len(part),
            "last": i == len(cut) - 1,
        }
        for i, part in enumerate(cut)
    ]


def vectors(transfers):
    """Join transferred beats to lists of elements, one per vector."""
    joined, current = [], []
    for _, beat in transfers:
        current += [beat.elements[i] for i in range(beat.count)]
        if beat.last:
            joined.append(current)
            current = []
    assert not current
    return joined


def last_cycles(transfers):
    """Return the cycles of the vectors' last beats."""
    return [cycle for cycle, beat in transfers if beat.last]
