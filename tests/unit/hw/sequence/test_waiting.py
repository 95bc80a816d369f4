"""What a program waits for, by name."""

import pytest
from amaranth.sim import Simulator

from hw.sequence.waiting import Waiting
from hw.spec.program import Opcode
from hw.spec.registers import WAITING

IDLE = {"multiplied": 1, "drained": 1, "stored": 1}


@pytest.mark.parametrize(
    ("states", "units"),
    [
        ({}, set()),
        ({"fetching": 1, "draining": 1, "stored": 0}, {"fetch", "forgotten", "writes"}),
        ({"running": {"load": 1, "encode": 1}}, {"loader", "encoder"}),
        ({"multiplied": 0, "drained": 0}, set()),
        ({"running": {"matvec": 1}, "multiplied": 0, "drained": 0}, {"matrix", "drain"}),
        ({"running": {"matvec": 1}, "drained": 0}, {"drain"}),
        ({"running": {"vector": 1}, "opcode": Opcode.EMBED}, {"embed"}),
        ({"running": {"vector": 1}, "opcode": Opcode.GATE}, {"feed"}),
        ({"running": {"vector": 1}, "opcode": Opcode.SOFTMAX}, {"softmax"}),
        ({"running": {"vector": 1}, "opcode": Opcode.ROTATE}, {"rotate"}),
        ({"running": {"vector": 1, "load": 1}, "opcode": Opcode.KEEP}, {"keep", "loader"}),
        ({"running": {"vector": 1}, "opcode": Opcode.GELU}, {"feed"}),
        ({"running": {"vector": 1}, "opcode": Opcode.LAYER_NORM}, {"combine"}),
        ({"running": {"vector": 1}, "opcode": Opcode.SUM}, {"combine"}),
        ({"opcode": Opcode.KEEP}, set()),
    ],
)
def test_waiting(states, units):
    dut = Waiting()

    async def bench(ctx):
        for name, value in {**IDLE, **states}.items():
            ctx.set(getattr(dut, name), value)
        assert {name for name in WAITING if ctx.get(dut.units[name])} == units

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
