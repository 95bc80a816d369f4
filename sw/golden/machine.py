"""What a device program works on: memories, the encoder's vector and scalars (program.md)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.spec.program import ENCODER_ONLY, USES, Drain, Index, Instruction, Opcode
from hw.spec.registers import Error
from sw.golden.codes import Encoded

#: Bytes that addresses reach.
SPACE = 1 << 32


class ProgramError(Exception):
    """The core stops the program; ``error`` is the code of register ``status``."""

    def __init__(self, error: Error):
        super().__init__(f"the program stopped: {error.name.lower()}")
        self.error = error


class Machine:
    """State that one instruction leaves to the next.

    Parameters
    ----------
    params : CoreParams
        The core, with vector memory.
    memory : ndarray
        Device memory, a contiguous array.

    Attributes
    ----------
    words : Tensor
        Vector memory, int64.
    token, position : int
        What the host gave.
    n, multiplier, u : Tensor
        Scalars of norms, for each vector: shift, R and u.
    gain, context_shift : Tensor
        Scalars of SOFTMAX, for each vector: G and ``jz - j - ev``.
    encoded : dict of int to Encoded
        Vectors that were encoded, by their numbers.
    marks : Tensor
        Rows that each bank marks, bool, shape (2, blocks, 32).
    counters : Counter
        Totals of a token.
    """

    def __init__(self, params: CoreParams, memory: np.ndarray) -> None:
        self.params = params
        self._octets = memory.view(np.uint8).reshape(-1)
        self.words = torch.zeros(params.vector_words, dtype=torch.int64)
        self._vector = torch.zeros(params.max_inputs, dtype=torch.int64)
        self.token, self.position = 0, 0
        self.n, self.multiplier, self.u, self.gain, self.context_shift = torch.zeros(
            5, params.batch, dtype=torch.int64
        )
        self.encoded: dict[int, Encoded] = {}
        self.marks = torch.zeros(2, params.max_blocks, BLOCK, dtype=torch.bool)
        self.counters: Counter[str] = Counter()

    def count(self, instruction: Instruction) -> int:
        """Elements of an instruction."""
        return counted(instruction, "count", self.position)

    def shape(self, instruction: Instruction) -> tuple[int, int]:
        """Return the inputs and tiles of an instruction."""
        return counted(instruction, "inputs", self.position), tiles(instruction, self.position)

    def vector(self, inputs: int) -> Tensor:
        """Return the vector in the encoder."""
        return self._vector[:inputs]

    def give(self, vector: Tensor) -> None:
        """Put a vector into the encoder; what it cannot hold, MATVEC refuses."""
        kept = vector[: len(self._vector)]
        self._vector[: len(kept)] = kept

    def read(self, address: int, count: int) -> Tensor:
        """Read words of vector memory."""
        return self.words[address : address + count].clone()

    def write(self, address: int, values: Tensor) -> None:
        """Write words of vector memory."""
        self.words[address : address + len(values)] = values

    def fetch(self, addresses: np.ndarray) -> np.ndarray:
        """Read bytes of device memory, uint8."""
        return self._octets[self._existing(addresses)]

    def store(self, addresses: np.ndarray, octets: np.ndarray) -> None:
        """Write bytes of device memory, modulo 256."""
        self._octets[self._existing(addresses)] = octets & 0xFF

    def _existing(self, addresses: np.ndarray) -> np.ndarray:
        if addresses.max() >= len(self._octets):
            raise ProgramError(Error.RESPONSE)
        return addresses

    def elements(self, instruction: Instruction, count: int) -> np.ndarray:
        """Byte addresses of an instruction's elements."""
        element, inner = np.arange(count, dtype=np.int64), instruction["inner"]
        offsets = (
            element // inner * instruction["outer_stride"]
            + element % inner * instruction["inner_stride"]
        )
        return self.moved(instruction["address"], instruction, offsets)

    def moved(self, address: int, instruction: Instruction, offsets: np.ndarray) -> np.ndarray:
        """Addresses behind one that moves by the instruction's index."""
        place = {Index.NONE: 0, Index.TOKEN: self.token}
        index = place.get(Index(instruction["index"]), self.position + instruction["ahead"])
        return (moved(address, instruction, index) + offsets) % SPACE

    def check(self, instruction: Instruction) -> None:
        """Refuse what has no elements, or operands or vectors beyond those that there are."""
        uses, vectors = USES[instruction.opcode], instruction["vectors"]
        if not self.params.encoder and (
            instruction.opcode in ENCODER_ONLY or instruction["drain"] == Drain.BIASED
        ):
            raise ProgramError(Error.PROGRAM)
        count = self.count(instruction)
        used = operands(instruction, count)
        if "count" in uses and not count or "inner" in uses and not instruction["inner"]:
            raise ProgramError(Error.PROGRAM)
        if any(instruction[name] + size > len(self.words) for name, size in used.items()):
            raise ProgramError(Error.PROGRAM)
        if "vectors" in uses and (
            not vectors or (instruction["drain"] == Drain.LOGITS and vectors > 1)
        ):
            raise ProgramError(Error.PROGRAM)
        if "vector" in uses and instruction["vector"] + max(vectors, 1) > self.params.batch:
            raise ProgramError(Error.PROGRAM)


def counted(instruction: Instruction, name: str, position: int) -> int:
    """Value of ``count`` or ``inputs``, which may be the number T of tokens in the caches."""
    length = position + instruction["ahead"] + 1
    return length if instruction[f"{name}_by_position"] else instruction[name]


def tiles(instruction: Instruction, position: int) -> int:
    """Tiles of a matrix, whose outputs may be the tokens in the caches."""
    length, shift = position + instruction["ahead"] + 1, instruction["shift"]
    by_position = length + (1 << shift) - 1 >> shift
    return by_position if instruction["tiles_by_position"] else instruction["tiles"]


def moved(address: int, instruction: Instruction, index: int) -> int:
    """Byte address that an instruction moves by a token or position."""
    shift = instruction["shift"]
    high, low = index >> shift, index & (1 << shift) - 1
    return (address + high * instruction["stride_high"] + low * instruction["stride_low"]) % SPACE


def operands(instruction: Instruction, count: int) -> dict[str, int]:
    """Words from the first to the last of each operand that an instruction reads or writes."""
    inner = instruction["inner"]
    match instruction.opcode:
        case Opcode.LOAD:
            return {"target": count}
        case Opcode.EMBED:
            return {"a": count, "b": -(-count // BLOCK), "c": 1, "target": count}
        case Opcode.NORM | Opcode.GATE | Opcode.SOFTMAX:
            return {"a": count, "b": count}
        case Opcode.NORMALIZE | Opcode.KEEP | Opcode.GELU:
            return {"a": count}
        case Opcode.ROTATE:
            return {"a": 2 * inner * count, "b": inner, "c": inner}
        case Opcode.ENCODE:
            return {}
        case Opcode.LAYER_NORM:
            return {"a": count, "b": count, "c": count, "target": count}
        case Opcode.SUM:
            return {"a": count + (inner - 1) * instruction["stride"], "target": count}
        case _:
            several = count + (instruction["vectors"] - 1) * instruction["stride"]
            drain = Drain(instruction["drain"])
            biases = count if drain == Drain.BIASED else several
            sizes = {"a": biases, "b": count, "target": several}
            return {name: sizes[name] for name in _DRAINED[drain]}


_DRAINED = {
    Drain.NORMED: ("b", "target"),
    Drain.RESIDUAL: ("a", "b", "target"),
    Drain.SCORES: ("b", "target"),
    Drain.CONTEXT: ("target",),
    Drain.LOGITS: ("b",),
    Drain.BIASED: ("a", "b", "target"),
}
