"""The cycle model against the core: tokens of the bundled model on either memory."""

import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from sw.compile.program import compile_program
from sw.driver.token import TokenDevice
from sw.opening import open_model
from sw.plan.sequencer import run_cost
from sw.plan.trace import trace_tokens

pytestmark = pytest.mark.rtl

TOKENS = [5, 77, 300, 9, 12, 40, 7]
STALLS = ("encoder", "scaler", "memory")


@pytest.mark.parametrize("memory", ["ideal", "dram", "dram,jitter=4"])
def test_within_one_per_cent(memory):
    params = CoreParams(CONFIGS["mac8-token"])
    model = open_model(None)
    program = compile_program(model, params, name="mac8-token")
    transport = VerilatedTransport(params, memory=memory)
    device = TokenDevice(transport, params, program)
    for position, token in enumerate(TOKENS):
        before = transport.memory_counts().beats
        device.step(token, position)
        beats = transport.memory_counts().beats - before
    transport.close()

    (run,) = trace_tokens(model, program, params, TOKENS[:-1], TOKENS[-1:])
    cost = run_cost(run, params, MemoryModel.parse(memory))
    assert cost.cycles == pytest.approx(device.cycles, rel=0.01)
    assert cost.beats == pytest.approx(beats, rel=0.01)
    for name in STALLS:
        stalled = device.counters[f"stall_{name}"]
        assert cost.stalls[name] == pytest.approx(stalled, abs=0.01 * device.cycles)
