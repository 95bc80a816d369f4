"""Small cores, and a simulator."""

from __future__ import annotations

import pytest
from amaranth.sim import Simulator

from hw.spec.formats import W4, W8
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


#: Odd and even widths, with one, two and four scaler streams.
LANES = (1, 2, 3, 8, 25, 64)
SHAPES = [(n, w) for n in LANES for w in (W4, W8) if n % w.lanes_per_output == 0]


def _params(lanes):
    return CoreParams(
        CoreConfig(lanes=lanes, memory_beats=300, max_inputs=96, max_outputs=3 * lanes)
    )


@pytest.fixture(params=LANES, ids=lambda lanes: f"{lanes}lanes")
def params(request):
    return _params(request.param)


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}lanes-{shape[1].name}")
def shape(request):
    """A core, and a weight format that it takes."""
    lanes, weights = request.param
    return _params(lanes), weights
