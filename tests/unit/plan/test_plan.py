"""The cost of a token of the bundled model."""

import dataclasses

import numpy as np
import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.program import Opcode
from sim.memory import MemoryModel
from sw.compile.program import compile_program
from sw.golden.program import Interpreter
from sw.opening import open_model
from sw.plan.caches import fill_caches
from sw.plan.dense import dense_bytes
from sw.plan.prompt import prompt_cost
from sw.plan.sequencer import run_cost
from sw.plan.trace import trace_tokens

TOKENS = [5, 77, 300, 9]


@pytest.fixture(scope="module")
def model():
    return open_model(None)


@pytest.fixture(scope="module", params=["mac8-token", "spike8-token"])
def core(request, model):
    params = CoreParams(CONFIGS[request.param])
    program = compile_program(model, params, name=request.param)
    return params, program, trace(model, program, params)


def trace(model, program, params, tokens=TOKENS, **options):
    (run,) = trace_tokens(model, program, params, tokens[:-1], tokens[-1:], **options)
    return run


def cost(core, memory="ideal"):
    params, _, run = core
    return run_cost(run, params, MemoryModel.parse(memory))


def test_every_instruction_is_seen(core):
    _, program, run = core
    seen = [step.instruction.encode() for step in run.steps]
    assert seen == [instruction.encode() for instruction in program.instructions[:-1]]
    kinds = cost(core).kinds
    assert sum(kind.count for kind in kinds.values()) == len(run.steps)


@pytest.mark.parametrize("memory", ["ideal", "dram"])
def test_everything_adds_up(core, memory):
    token, params = cost(core, memory), core[0]
    assert token.cycles == sum(kind.cycles for kind in token.kinds.values())
    assert token.octets == sum(kind.octets for kind in token.kinds.values())
    assert token.octets == token.beats * params.axi_data_width // 8
    assert 0 < token.useful_beats < token.beats < token.cycles


def test_caches_are_those_of_the_program(core, model):
    params, program, _ = core
    tokens = [7, *TOKENS, *range(100, 137)]
    filled, run, seen = program.memory(params), program.memory(params), []
    fill_caches(filled, model, program, params, tokens, report=seen.append)
    assert seen == list(range(len(tokens)))
    interpreter = Interpreter(params, run)
    for position, token in enumerate(tokens):
        interpreter.run(program.address, token=token, position=position)
    assert np.array_equal(filled, run)
    assert not np.array_equal(filled, program.memory(params))


def test_every_position_is_reported(core, model):
    params, program, run = core
    seen = []
    again = trace(model, program, params, report=seen.append)
    assert seen == list(range(len(TOKENS)))
    assert [step.count for step in again.steps] == [step.count for step in run.steps]


def test_beats_of_weights_are_the_golden_models(core):
    params, _, run = core
    kinds = cost(core).kinds
    beats = sum(kinds[f"MATVEC {n}"].octets for n in ("normed", "residual", "logits")) // 4
    dense = sum(
        step.instruction["tiles"]
        * params.sub_tiles
        * len(step.encoded[0].scales)
        * (33 if step.instruction["drain"] == 4 else 36)
        for step in run.steps
        if step.instruction.opcode == Opcode.MATVEC and step.instruction["drain"] in (0, 1, 4)
    )
    assert 0.8 * dense < beats < dense


def test_slower_memories_cost_more(core):
    cycles = [cost(core, m).cycles for m in ("ideal", "latency=9", "dram", "dram,jitter=5")]
    assert cycles == sorted(set(cycles))


def test_shared_caches_are_useful_once(core):
    params, program, run = core
    twice = dataclasses.replace(run, steps=[*run.steps, *run.steps])
    once = cost(core)
    again = cost((params, program, twice))
    attention = {"MATVEC scores", "MATVEC context"}
    assert again.cycles > 1.9 * once.cycles
    read = sum(kind.octets for name, kind in once.kinds.items() if name in attention) // 4
    assert 2 * once.useful_beats - read < again.useful_beats < 2 * once.useful_beats


def test_dense_bytes(model):
    dense, config = dense_bytes(model, position=9), model.config
    weights = [m.codes.size for n, m in model.matrices.items() if n not in ("embedding", "head")]
    head = model.head.codes.size
    assert dense.codes == sum(weights) // 2 + head
    assert dense.codes + dense.scales == sum(weights) * 18 // 32 + head * 33 // 32
    assert dense.cache == 2 * config.layers * config.kv_heads * (config.head_width + 2) * 10
    assert dense.total == dense.codes + dense.scales + dense.cache


def test_a_wider_bus_is_faster(model):
    cycles = []
    for width in (32, 64):
        config = dataclasses.replace(CONFIGS["mac8-token"], axi_data_width=width)
        params = CoreParams(config)
        program = compile_program(model, params, name="changed")
        run = trace(model, program, params, TOKENS[:1])
        cycles.append(run_cost(run, params, MemoryModel.parse("dram")).cycles)
    assert cycles[1] < cycles[0]


def test_prompts(core, model):
    """What lies between the first and the last batch is well estimated by them."""
    params, program, _ = core
    tokens, batch = [*range(40, 40 + 4 * program.batch + 3)], program.batch
    timing = MemoryModel.parse("ideal")
    cost, seen = prompt_cost(model, program, params, timing, tokens), []
    for start in [*range(0, 4 * batch, batch), *range(4 * batch, len(tokens))]:
        size = batch if start < 4 * batch else 1
        runs = trace_tokens(model, program, params, tokens[:start], tokens[start : start + size])
        seen.append([run_cost(run, params, timing) for run in runs])
    assert [len(runs) for runs in seen] == 4 * [batch + 1] + 3 * [1]
    costs = [each for runs in seen for each in runs]
    assert cost.cycles == pytest.approx(sum(each.cycles for each in costs), rel=0.01)
    assert cost.octets == pytest.approx(sum(each.octets for each in costs), rel=0.01)
    batches, single = seen[:4], seen[4][0]
    for runs in batches:
        assert sum(each.octets for each in runs) < 3 * single.octets, "weights are read once"
