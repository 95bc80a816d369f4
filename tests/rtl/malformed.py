"""Instructions that cannot run, and what a core must say of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.params import CoreParams
from hw.spec.program import INSTRUCTION_BYTES, OPERANDS, Drain, Opcode
from hw.spec.registers import REGISTERS, Error

#: Operands in vector memory, by opcode, that are as long as ``count``.
_VECTORS = {
    Opcode.LOAD: ("target",),
    Opcode.EMBED: ("a", "target"),
    Opcode.NORM: ("a", "b"),
    Opcode.NORMALIZE: ("a",),
    Opcode.GATE: ("a", "b"),
    Opcode.MATVEC: ("b", "target"),
    Opcode.KEEP: ("a",),
    Opcode.SOFTMAX: ("a", "b"),
}
#: Those that are at least a word long.
_WORDS = {Opcode.EMBED: ("b", "c"), Opcode.ROTATE: ("a", "b", "c")}
#: Those that name one encoded vector, and those that the matrix unit checks.
_NUMBERED = (Opcode.NORM, Opcode.NORMALIZE, Opcode.GATE, Opcode.SOFTMAX, Opcode.ENCODE)
_CHECKED = (Opcode.ENCODE, Opcode.MATVEC)
_TABLE = REGISTERS["mode"].pack(table=15)


@dataclasses.dataclass(frozen=True)
class Spoiled:
    """An instruction as it lies in memory.

    ``error`` is what the core must say; None where anything may happen that ends. ``precise`` tells
    whether it must say so at this instruction.
    """

    number: int
    octets: bytes
    error: Error | None
    precise: bool = True


def spoil(rng: np.random.Generator, instructions, params: CoreParams) -> Spoiled:
    """Spoil one instruction of a program in a random way."""
    ways = [_opcode, _count, _vector, _word, _outputs, _number, _vectors, _span]
    ways += [_base, _mode, _inputs, _address, _flip, _flip, _noise]
    if params.alignment > 1:
        ways.append(_misalign)
    while True:
        number = int(rng.integers(len(instructions)))
        spoiled = ways[rng.integers(len(ways))](rng, number, instructions, params)
        if spoiled is not None:
            return spoiled


def _changed(number, instruction, error, *, precise=True, **operands) -> Spoiled:
    whole = int.from_bytes(instruction.encode(), "little")
    for name, value in operands.items():
        operand = OPERANDS[name]
        whole &= ~(((1 << operand.width) - 1) << operand.position)
        whole |= int(value) << operand.position
    return Spoiled(number, whole.to_bytes(INSTRUCTION_BYTES, "little"), error, precise)


def _opcode(rng, number, program, params):
    unknown = rng.integers(max(Opcode) + 1, 256)
    return _changed(number, program[number], Error.PROGRAM, opcode=unknown)


def _count(rng, number, program, params):
    if program[number].opcode not in (Opcode.END, Opcode.ENCODE):
        return _changed(number, program[number], Error.PROGRAM, count=0, count_by_position=0)


def _vector(rng, number, program, params):
    instruction = program[number]
    if names := _VECTORS.get(instruction.opcode):
        first = params.vector_words - max(instruction["count"], 1) + 1
        place = _beyond(rng, first, params)
        return _changed(number, instruction, Error.PROGRAM, **{rng.choice(names): place})


def _word(rng, number, program, params):
    if names := _WORDS.get(program[number].opcode):
        place = _beyond(rng, params.vector_words, params)
        return _changed(number, program[number], Error.PROGRAM, **{rng.choice(names): place})


def _beyond(rng, first, params):
    width = params.vector_width
    first = -(-first // width) * width
    return rng.choice([first, rng.integers(first, 1 << 16)]) // width * width


def _outputs(rng, number, program, params):
    instruction = program[number]
    if instruction.opcode == Opcode.MATVEC and instruction["tiles"]:
        wide = REGISTERS["mode"].unpack(instruction["mode"])["format"]
        most = instruction["tiles"] * params.tile_lanes >> wide
        count = rng.integers(most + 1, 1 << 16)
        operands = {"count": count, "count_by_position": 0}
        return _changed(number, instruction, Error.PROGRAM, **operands)


def _number(rng, number, program, params):
    if program[number].opcode in _NUMBERED:
        vector = rng.integers(params.batch, 64)
        return _changed(number, program[number], Error.PROGRAM, vector=vector)


def _vectors(rng, number, program, params):
    instruction = program[number]
    if instruction.opcode == Opcode.MATVEC:
        most = 1 if instruction["drain"] == Drain.LOGITS else params.batch - instruction["vector"]
        vectors = rng.choice([0, most + 1, rng.integers(most + 1, 128)])
        return _changed(number, instruction, Error.PROGRAM, vectors=vectors)


def _span(rng, number, program, params):
    if program[number].opcode == Opcode.MATVEC and program[number]["vectors"] > 1:
        stride = rng.integers(params.vector_words, 1 << 16)
        return _changed(number, program[number], Error.PROGRAM, stride=stride)


def _base(rng, number, program, params):
    if program[number].opcode == Opcode.MATVEC:
        base = params.memory_beats - rng.integers(0, 8) * params.alignment
        base = rng.choice([base, 1 << 31, (1 << 32) - params.alignment])
        return _changed(number, program[number], Error.MEMORY, weight_base=base)


def _misalign(rng, number, program, params):
    if program[number].opcode == Opcode.MATVEC:
        base = program[number]["weight_base"] + rng.integers(1, params.alignment)
        return _changed(number, program[number], Error.MEMORY, weight_base=base)


def _mode(rng, number, program, params):
    if program[number].opcode in _CHECKED:
        mode = program[number]["mode"] | _TABLE
        return _changed(number, program[number], Error.MODE, mode=mode)


def _inputs(rng, number, program, params):
    if program[number].opcode in _CHECKED:
        inputs = rng.choice([0, params.max_inputs + 1, 65535])
        operands = {"inputs": inputs, "inputs_by_position": 0}
        return _changed(number, program[number], Error.INPUTS, **operands)


def _address(rng, number, program, params):
    if program[number].opcode in (Opcode.LOAD, Opcode.KEEP):
        size = params.memory_beats * params.beat_bits // 8
        address = size + rng.integers(0, 1 << 20) * 64
        return _changed(number, program[number], Error.RESPONSE, address=address)


def _flip(rng, number, program, params):
    """Invert a few bits: whatever it now is ends."""
    octets = np.frombuffer(program[number].encode(), np.uint8).copy()
    for _ in range(rng.integers(1, 4)):
        octets[rng.integers(INSTRUCTION_BYTES)] ^= 1 << rng.integers(8)
    return Spoiled(number, octets.tobytes(), None, precise=False)


def _noise(rng, number, program, params):
    """Fill it with noise behind an opcode that is known."""
    octets = rng.integers(0, 256, INSTRUCTION_BYTES, np.uint8)
    octets[0] = rng.choice(list(Opcode))
    return Spoiled(number, octets.tobytes(), None, precise=False)
