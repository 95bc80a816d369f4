"""The cycle model against the core: tokens and batches of the bundled model, on every memory."""

import numpy as np
import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from sim.memory import MemoryModel
from sim.verilated import VerilatedTransport
from sw.compile.program import compile_program
from sw.driver.token import TokenDevice
from sw.opening import open_model
from sw.plan.caches import fill_caches
from sw.plan.sequencer import run_cost
from sw.plan.trace import trace_tokens

pytestmark = pytest.mark.rtl

STALLS = ("encoder", "scaler", "memory")
CONFIGURATIONS = "mac8-token", "spike8-token", "mac32-token"


#: Jitter is drawn otherwise than in the simulation: a wide core's batch is then 1.1 % off.
CASES = [
    *((name, memory) for name in CONFIGURATIONS for memory in ("ideal", "dram")),
    *((name, "dram,jitter=4") for name in CONFIGURATIONS[:2]),
]


@pytest.fixture(scope="module")
def core(request):
    params, model = CoreParams(CONFIGS[request.param]), open_model(None)
    return params, model, compile_program(model, params, name=request.param)


@pytest.mark.parametrize(("core", "memory"), CASES, indirect=["core"])
@pytest.mark.parametrize("batch", [False, True], ids=["token", "batch"])
def test_within_one_per_cent(core, memory, batch):
    params, model, program = core
    tokens = np.random.default_rng(5).integers(0, program.vocabulary, 45).tolist()
    before, now = tokens, tokens[: program.batch if batch else 1]
    timing, position = MemoryModel.parse(memory), len(before)
    filled = program.memory(params)
    fill_caches(filled, model, program, params, before, report=lambda position: None)

    transport = VerilatedTransport(params, memory=memory)
    device = TokenDevice(transport, params, program)
    transport.load(0, filled.view(np.uint8)[: len(program.image)])
    device.length = position
    if batch:
        device.prefill(now, position)
    else:
        device.step(now[0], position)
    beats = transport.memory_counts().beats
    transport.close()

    runs = trace_tokens(model, program, params, before, now)
    costs = [run_cost(run, params, timing) for run in runs]
    assert sum(cost.cycles for cost in costs) == pytest.approx(device.cycles, rel=0.01)
    assert sum(cost.beats for cost in costs) == beats
    for name in STALLS:
        predicted, stalled = sum(c.stalls[name] for c in costs), device.counters[f"stall_{name}"]
        assert predicted == pytest.approx(stalled, abs=0.01 * device.cycles)
