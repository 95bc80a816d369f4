"""The scenarios of the components under cocotb, on one Verilated module that holds them all."""

from __future__ import annotations

import contextlib
import functools
import os

import cocotb
import numpy as np
import torch
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped
from cocotb.triggers import RisingEdge

from sim.cocotb_axi import channels, join_memory, pause, start_clock
from tests.scenario import SCENARIOS
from tests.scenario.player import play

#: How many scenarios of each component are played.
REPEATS = int(os.environ.get("FIRSTSPIKE_REPEATS", "3"))


class Assembly(wiring.Component):
    """Components side by side, each with its ports under its name.

    Parameters
    ----------
    components : dict of str to Component
        Components by name.
    """

    def __init__(self, components: dict[str, wiring.Component]):
        self._components = components
        super().__init__({name: Out(part.signature) for name, part in components.items()})

    def elaborate(self, platform):
        """Join the ports."""
        m = Module()
        for name, part in self._components.items():
            m.submodules[name] = part
            connect(m, flipped(getattr(self, name)), part)
        return m


@cocotb.test()
@cocotb.parametrize(name=list(SCENARIOS), repeat=range(REPEATS))
async def scenario(dut, name, repeat):
    cocotb.log.info("%s, repetition %d", name, repeat)
    torch.set_num_threads(1)
    rng = np.random.default_rng([cocotb.RANDOM_SEED, repeat, list(SCENARIOS).index(name)])
    _, make = SCENARIOS[name]

    @functools.cache
    def port(suffix):
        return getattr(dut, f"{name}__{suffix}")

    chosen, beats = make(rng), 0
    if chosen.memory:
        memory = join_memory(dut, len(chosen.memory), prefix=f"{name}__axi_")
        memory.write(0, chosen.memory)
        pause(channels(memory), rng)
    await start_clock(dut)
    player = play(chosen, rng)
    driven = next(player)
    with contextlib.suppress(StopIteration):
        while True:
            for suffix, value in driven.items():
                port(suffix).value = value
            await RisingEdge(dut.clk)
            if chosen.memory:
                beats += int(port("axi__rvalid").value and port("axi__rready").value)
            driven = player.send(lambda suffix: int(port(suffix).value))
    if chosen.memory:
        assert beats == chosen.beats and not port("axi__arvalid").value
