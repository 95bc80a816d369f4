"""The scenarios of the components, small ones, on Amaranth's simulator."""

import contextlib

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from tests.scenario import SCENARIOS
from tests.scenario.player import play


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    component, scenario = SCENARIOS[name]
    dut, rng = component(), np.random.default_rng(1)
    ports = {"__".join(path): Value.cast(port) for path, _, port in dut.signature.flatten(dut)}

    async def bench(ctx):
        player = play(scenario(rng), rng)
        driven = next(player)
        with contextlib.suppress(StopIteration):
            while True:
                for port, value in driven.items():
                    ctx.set(ports[port], value)
                driven = player.send(lambda port: ctx.get(ports[port].as_unsigned()))
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
