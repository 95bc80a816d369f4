"""Instructions that may run beside each other do not meet; those that could are named."""

import dataclasses

import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.spec.program import Drain, Index, Instruction, Opcode, Unit
from sw.compile.hazards import check_hazards, with_waits
from sw.compile.program import DeviceProgram, compile_program
from sw.compile.stream import compile_stream
from sw.models import bundled_model
from sw.opening import open_model
from tests.unit.compile.programs import small_core, small_model

PARAMS = small_core(batch=4)

#: Attention as SmolLM2 has it.
WIDE = {
    "width": 576,
    "ffn_width": 1536,
    "heads": 9,
    "kv_heads": 3,
    "head_width": 64,
    "layers": 2,
    "vocabulary": 4999,
    "context": 2048,
}


def assert_safe(program: DeviceProgram, params: CoreParams) -> None:
    """Check all programs of a model at several positions."""
    programs = [(program.instructions, 1)]
    if program.prefill:
        programs += [(e.instructions, program.prefill.tokens) for e in program.prefill.embeddings]
        programs.append((program.prefill.rest.instructions, program.prefill.tokens))
    for instructions, tokens in programs:
        last = program.context - tokens
        for position in sorted({0, 1, 30, 31, 32, last // 2, last - 1, last}):
            if 0 <= position <= last:
                token = (position * 7) % program.vocabulary
                check_hazards(instructions, params, position=position, token=token)


@pytest.mark.parametrize("name", [name for name in CONFIGS if "token" in name])
def test_configurations(name):
    """The bundled model, and one of SmolLM2's shape where it fits."""
    params = CoreParams(CONFIGS[name])
    large = params.max_inputs >= WIDE["ffn_width"]
    model = small_model(0, **WIDE) if large else open_model(str(bundled_model()))
    if name == "mac8-token-small":
        assert_safe(compile_stream(model, params, name=name), params)
    else:
        assert_safe(compile_program(model, params, name=name), params)


@pytest.mark.parametrize("batch", range(1, 9))
@pytest.mark.parametrize("core", [{}, {"tile_lanes": 8}, {"tile_lanes": 8, "max_outputs": 99}])
def test_batches(batch, core):
    """One set of vectors or two, whole key heads or parts of them, values in several tiles."""
    model, params = small_model(1), small_core(batch=batch, vector_words=8192, **core)
    assert_safe(compile_program(model, params, name="x"), params)
    assert_safe(compile_stream(model, params, name="x"), params)


def norm(vector: int = 0, **operands) -> Instruction:
    return Instruction(Opcode.NORM, {"b": 200, "count": 40, "vector": vector} | operands)


def encode(vector: int = 0, **operands) -> Instruction:
    return Instruction(Opcode.ENCODE, {"inputs": 40, "vector": vector} | operands)


def matvec(**operands) -> Instruction:
    usual = {"inputs": 40, "tiles": 1, "count": 8, "vectors": 1, "target": 400, "b": 300}
    return Instruction(Opcode.MATVEC, usual | operands)


def load(target: int, **operands) -> Instruction:
    usual = {"size": 1, "count": 20, "inner": 20, "inner_stride": 1}
    return Instruction(Opcode.LOAD, usual | {"target": target} | operands)


def keep(**operands) -> Instruction:
    place = {"inner": 5, "inner_stride": 1, "address": 1000, "scales": 5000}
    return Instruction(Opcode.KEEP, {"count": 10, "a": 600, "outer_stride": 40} | place | operands)


SUM = Instruction(
    Opcode.SUM, {"a": 600, "stride": 55, "inner": 3, "count": 10, "target": 0, "multiplier": 1}
)
LAYER_NORM = Instruction(Opcode.LAYER_NORM, {"a": 0, "b": 700, "c": 760, "target": 0, "count": 40})
GELU = Instruction(Opcode.GELU, {"a": 600, "count": 40, "vector": 1})

L, V, E, M = (1 << unit for unit in (Unit.LOAD, Unit.VECTOR, Unit.ENCODE, Unit.MATVEC))


@pytest.mark.parametrize(
    ("before", "instruction", "after", "what"),
    [
        # Words that are written while they are read, or the other way round.
        ([norm()], load(30), V, "words of vector memory"),
        ([norm()], load(40), 0, ""),
        ([load(220)], norm(), L, "words of vector memory"),
        ([matvec()], load(407), M, "words of vector memory"),
        ([matvec()], load(408), 0, ""),
        ([matvec(vectors=3, stride=20)], norm(3, a=447), M, "words of vector memory"),
        ([matvec(vectors=3, stride=20)], norm(3, a=448), 0, ""),
        ([matvec(drain=Drain.CONTEXT)], load(300), 0, ""),
        ([load(300)], matvec(), L, "words of vector memory"),
        # Encoders: words beside a drain, and operands of their own.
        ([matvec()], SUM, M, "ports of vector memory"),
        ([SUM], matvec(), V, "ports of vector memory"),
        ([matvec()], LAYER_NORM, M, "ports of vector memory"),
        ([matvec(drain=Drain.BIASED, a=500)], norm(), M, "ports of vector memory"),
        ([matvec(drain=Drain.BIASED, a=500, vectors=2, stride=9)], load(508), 0, ""),
        ([matvec(drain=Drain.BIASED, a=500)], load(507), M, "words of vector memory"),
        ([SUM], load(719), V, "words of vector memory"),
        ([SUM], load(720), 0, ""),
        ([LAYER_NORM], load(760), V, "words of vector memory"),
        ([GELU], encode(1), V, "vector in the encoder"),
        # The vector in the encoder, its scalars, and its events.
        ([norm()], encode(), V, "vector in the encoder"),
        ([encode(1)], norm(), E, "vector in the encoder"),
        ([matvec(vector=1, vectors=2)], norm(2, a=80), M, "R of vector 2"),
        ([matvec(vector=1, vectors=2)], norm(3, a=80), 0, ""),
        ([matvec(drain=Drain.CONTEXT)], norm(a=80), 0, ""),
        (
            [matvec(drain=Drain.CONTEXT)],
            Instruction(Opcode.SOFTMAX, {"count": 5}),
            M,
            "G of vector 0",
        ),
        ([matvec(vector=1)], encode(1, bank=1), M, "E of vector 1"),
        ([matvec(vector=1)], encode(2, bank=1), 0, ""),
        ([matvec(vector=1)], encode(2), M, "marks of bank 0"),
        # A matrix takes the blocks of its last vector as they come, of no other.
        ([encode(1)], matvec(vectors=2), 0, ""),
        ([encode(1)], matvec(vectors=3), E, "E of vector 1"),
        ([encode(1)], matvec(vectors=2, bank=1), E, "E of vector 1"),
        # Ports of vector memory.
        ([matvec(drain=Drain.RESIDUAL, a=400)], norm(1), M, "ports"),
        ([norm(1)], matvec(drain=Drain.RESIDUAL, a=400), V, "ports"),
        ([matvec()], Instruction(Opcode.EMBED, {"count": 2, "target": 9}), M, "ports"),
        ([Instruction(Opcode.EMBED, {"count": 2, "target": 9})], matvec(), V, "ports"),
        # Bytes of caches.
        ([keep()], load(0, address=1044), V, "bytes of device memory"),
        ([keep()], load(0, address=1045), 0, ""),
        ([keep()], load(0, address=4983), V, "bytes of device memory"),
        ([keep(index=Index.POSITION, stride_low=64, shift=9)], load(0, address=1000), 0, ""),
        ([keep(address=32000)], matvec(weight_base=7900), V, "bytes of device memory"),
        ([matvec(weight_base=7900)], keep(address=32000), M, "bytes of device memory"),
        ([keep(keys=1, mantissas=3000)], load(0, address=3040), V, "bytes of device memory"),
        # What something in between has waited for has ended.
        ([load(0), norm()], load(300), 0, ""),
        ([norm(), encode()], norm(1), E, "vector in the encoder"),
    ],
)
def test_every_kind_of_place(before, instruction, after, what):
    position = 1
    waits = with_waits([*before, instruction], PARAMS, positions=[position])
    assert waits[-1]["after"] == after
    check_hazards(waits, PARAMS, position=position)
    early = [*waits[:-1], instruction]
    if not after:
        return check_hazards(early, PARAMS, position=position)
    name, number = instruction.opcode.name, len(before)
    with pytest.raises(ValueError, match=rf"instruction {number} \({name}\).*touch.*({what})"):
        check_hazards(early, PARAMS, position=position)


def test_the_message_names_both():
    with pytest.raises(ValueError) as refused:
        check_hazards([load(0), norm(), encode()], PARAMS, position=0)
    assert str(refused.value) == (
        "instruction 1 (NORM) may begin before 0 (LOAD) has ended, but both touch words of "
        "vector memory"
    )


def test_every_wait_of_a_program_is_needed():
    """Without any one bit some instruction would begin too early."""
    program = compile_program(small_model(2), PARAMS, name="x")
    waits = 0
    for number, instruction in enumerate(program.instructions):
        for unit in Unit:
            if instruction["after"] >> unit & 1:
                operands = instruction.operands | {"after": instruction["after"] - (1 << unit)}
                changed = list(program.instructions)
                changed[number] = dataclasses.replace(instruction, operands=operands)
                with pytest.raises(ValueError, match=rf"instruction {number} .* may begin before"):
                    check_hazards(changed, PARAMS, position=program.context - 1)
                waits += 1
    assert waits > 50


def test_end_waits_for_all():
    end = Instruction(Opcode.END)
    check_hazards([norm(), end, encode(), end], PARAMS, position=0)
