"""The scenarios of the components on Amaranth's simulator."""

import contextlib

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from tests.scenario import SCENARIOS
from tests.scenario.player import play


class AxiMemory:
    """Memory behind the port ``axi``: it answers in order, and each channel waits at random."""

    def __init__(self, contents, size, rng):
        self._contents, self._size, self._rng = contents, size, rng
        self._queue, self._offers, self._takes = [], False, False  # (address, last) of beats
        self.beats = 0

    def drive(self):
        self._takes = self._rng.random() < 0.6
        self._offers = self._offers or (bool(self._queue) and self._rng.random() < 0.6)
        address, last = self._queue[0] if self._offers else (0, 0)
        data = self._contents[address : address + self._size]
        ports = {"arready": self._takes, "rvalid": self._offers, "rlast": last}
        ports["rdata"] = int.from_bytes(data, "little")
        return {f"axi__{name}": value for name, value in ports.items()}

    def step(self, read):
        if self._offers and read("axi__rready"):
            self._queue.pop(0)
            self._offers = False
            self.beats += 1
        if self._takes and read("axi__arvalid"):
            beats = read("axi__arlen") + 1
            start = read("axi__araddr")
            assert start % 4096 + self._size * beats <= 4096
            self._queue += [(start + self._size * i, i == beats - 1) for i in range(beats)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    component, make = SCENARIOS[name]
    dut, rng = component(), np.random.default_rng(1)
    ports = {"__".join(path): Value.cast(port) for path, _, port in dut.signature.flatten(dut)}
    scenario = make(rng)
    size = len(ports["axi__rdata"]) // 8 if scenario.memory else 0
    memory = AxiMemory(scenario.memory, size, rng)

    async def bench(ctx):
        def read(port):
            return ctx.get(ports[port].as_unsigned())

        player = play(scenario, rng)
        driven = next(player)
        with contextlib.suppress(StopIteration):
            while True:
                if scenario.memory:
                    driven |= memory.drive()
                for port, value in driven.items():
                    ctx.set(ports[port], value)
                if scenario.memory:
                    memory.step(read)
                driven = player.send(read)
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert memory.beats == scenario.beats
