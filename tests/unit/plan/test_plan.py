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
from sw.plan.sequencer import token_cost
from sw.plan.trace import trace_token

TOKENS = [5, 77, 300, 9]


@pytest.fixture(scope="module")
def model():
    return open_model(None)


@pytest.fixture(scope="module", params=["mac8-token", "spike8-token"])
def core(request, model):
    params = CoreParams(CONFIGS[request.param])
    program = compile_program(model, params, name=request.param)
    return params, program, trace_token(model, program, params, TOKENS)


def cost(core, memory="ideal"):
    params, program, steps = core
    return token_cost(
        steps,
        params,
        MemoryModel.parse(memory),
        token=TOKENS[-1],
        position=len(TOKENS) - 1,
        program=program.address,
    )


def test_every_instruction_is_seen(core):
    _, program, steps = core
    seen = [step.instruction.encode() for step in steps]
    assert seen == [instruction.encode() for instruction in program.instructions[:-1]]
    kinds = cost(core).kinds
    assert sum(kind.count for kind in kinds.values()) == len(steps)


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
    params, program, steps = core
    seen = []
    again = trace_token(model, program, params, TOKENS, report=seen.append)
    assert seen == list(range(len(TOKENS)))
    assert [step.count for step in again] == [step.count for step in steps]


def test_beats_of_weights_are_the_golden_models(core):
    params, _, steps = core
    kinds = cost(core).kinds
    beats = sum(kinds[f"MATVEC {n}"].octets for n in ("normed", "residual", "logits")) // 4
    dense = sum(
        step.instruction["tiles"]
        * params.sub_tiles
        * len(step.encoded[0].scales)
        * (33 if step.instruction["drain"] == 4 else 36)
        for step in steps
        if step.instruction.opcode == Opcode.MATVEC and step.instruction["drain"] in (0, 1, 4)
    )
    assert 0.8 * dense < beats < dense


def test_slower_memories_cost_more(core):
    cycles = [cost(core, m).cycles for m in ("ideal", "latency=9", "dram", "dram,jitter=5")]
    assert cycles == sorted(set(cycles))


def test_shared_caches_are_useful_once(core):
    params, program, steps = core
    twice = [*steps, *steps]
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
        steps = trace_token(model, program, params, TOKENS[:1])
        cycles.append(
            token_cost(
                steps,
                params,
                MemoryModel.parse("dram"),
                token=TOKENS[0],
                position=0,
                program=program.address,
            ).cycles
        )
    assert cycles[1] < cycles[0]
