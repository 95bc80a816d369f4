"""Drives components through their ports, and nothing else."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator


def _simulate(dut, *benches):
    """Run testbenches until all have ended."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def _pipe(dut, source, items, sink, *, idle=None, settle=20, constants=()):
    """Send items through a pipeline and return what arrives: (cycle, value) per valid result.

    ``constants`` are pairs of a port and the one value that it keeps. ``idle`` is a seeded
    generator of random numbers that inserts pauses, or None. The run goes on for ``settle`` cycles
    after the last item, so that anything extra is seen.
    """
    results = []

    async def bench(ctx):
        cycle = 0
        for port, value in constants:
            ctx.set(port, value)

        async def tick():
            nonlocal cycle
            if ctx.get(sink.valid):
                results.append((cycle, ctx.get(sink.payload)))
            await ctx.tick()
            cycle += 1

        for item in items:
            while idle and idle.random() < 0.3:
                ctx.set(source.valid, 0)
                await tick()
            ctx.set(source.valid, 1)
            ctx.set(source.payload, item)
            await tick()
        ctx.set(source.valid, 0)
        for _ in range(settle):
            await tick()

    _simulate(dut, bench)
    return results


@pytest.fixture
def simulate():
    return _simulate


@pytest.fixture
def pipe():
    return _pipe
