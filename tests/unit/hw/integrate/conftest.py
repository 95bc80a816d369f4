"""Small cores, and a simulator."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator

from hw.spec.params import CoreConfig, CoreParams


def _simulate(dut, bench, *, when, values):
    """Run a testbench; return ``values`` of every cycle in which ``when`` is true."""
    seen = []

    async def watch(ctx):
        async for _, _, valid, *sample in ctx.tick().sample(when, *values):
            if valid:
                seen.append(tuple(sample))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_process(watch)
    simulator.run()
    return seen


@pytest.fixture
def simulate():
    return _simulate


@pytest.fixture(params=[1, 3, 8, 25, 64], ids=lambda lanes: f"{lanes}lanes")
def params(request):
    """Cores of odd and even widths, with one, two and three scaler streams."""
    lanes = request.param
    return CoreParams(
        CoreConfig(lanes=lanes, memory_beats=300, max_inputs=96, max_outputs=3 * lanes)
    )
