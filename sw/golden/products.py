"""Encodes and multiplies what device programs say (``docs/program.md``), in exact integers."""

from __future__ import annotations

from itertools import count as count_from

from torch import Tensor

from hw.spec.program import ATTENTION, Drain, Instruction, mode, quantizer
from sw.golden.codes import Encoded, stack
from sw.golden.counters import event_counters
from sw.golden.engine import Engine, MatrixInstruction
from sw.golden.integers import WORD, rescale, saturate
from sw.golden.machine import Machine, ProgramError
from sw.golden.sums import relative_levels

_HALF = 1 << 15


class Products:
    """Executes ENCODE and MATVEC.

    Parameters
    ----------
    engine : Engine
        Checks, codes, multiplies and counts.
    machine : Machine
        What they work on.
    """

    def __init__(self, engine: Engine, machine: Machine) -> None:
        self._engine, self._machine = engine, machine

    def encode(self, i: Instruction) -> None:
        """Encode the vector in the encoder."""
        machine, bank = self._machine, self._machine.marks[i["bank"]]
        matrix = self._matrix(i, tiles=1)
        encoded = self._engine.encode(machine.vector(matrix.inputs), matrix)
        machine.encoded[i["vector"]] = encoded
        if not i["join"]:
            bank[:] = False
        fires = relative_levels(encoded) != 0
        bank[: len(fires)] |= fires
        if not i["uncounted"]:
            machine.counters.update(event_counters(encoded))

    def multiply(self, i: Instruction, count: int) -> Tensor:
        """Multiply vectors; return the results of the drain, shape (vectors, count)."""
        machine = self._machine
        _, tiles = machine.shape(i)
        matrix = self._matrix(i, tiles=tiles)
        if i["drain"] not in ATTENTION:
            marks = machine.marks[i["bank"]]
            machine.counters.update(self._engine.fetch_counters(marks, matrix))
        vectors = stack(self.vectors(i))
        return self._drain(i, self._engine.multiply(vectors, matrix)[:, :count], vectors.base)

    def _matrix(self, i: Instruction, *, tiles: int) -> MatrixInstruction:
        """Return what an ENCODE or a MATVEC says of its matrix, if that can be."""
        matrix = MatrixInstruction(
            inputs=self._machine.shape(i)[0],
            tiles=tiles,
            weight_base=i["weight_base"],
            mode=mode(i),
            quantizer=quantizer(i),
            vectors=max(i["vectors"], 1),
        )
        if error := self._engine.check(matrix):
            raise ProgramError(error)
        return matrix

    def vectors(self, i: Instruction) -> list[Encoded]:
        """Return the vectors that an ENCODE has made or a MATVEC takes."""
        numbers = range(i["vector"], i["vector"] + max(i["vectors"], 1))
        return [self._machine.encoded[number] for number in numbers]

    def _drain(self, i: Instruction, accumulators: Tensor, base: Tensor) -> Tensor:
        """Turn accumulators of shape (vectors, count) into words."""
        machine, (vectors, count) = self._machine, accumulators.shape
        mine = slice(i["vector"], i["vector"] + vectors)
        n, u, context_shift = (s[mine, None] for s in (machine.n, machine.u, machine.context_shift))
        multiplier, gain = (s[mine, None] for s in (machine.multiplier, machine.gain))
        per_output, shift = machine.read(i["b"], count), i["constant"] - base[:, None]
        match Drain(i["drain"]):
            case Drain.NORMED | Drain.LOGITS:
                return rescale(accumulators, multiplier, shift + u - n - per_output)
            case Drain.RESIDUAL:
                sums = rescale(accumulators, _HALF, shift - n - per_output)
                for sum_, start in zip(sums, count_from(i["a"], i["stride"]), strict=False):
                    sum_ += machine.read(start, count)
                return saturate(sums, WORD)
            case Drain.BIASED:
                words = rescale(accumulators, _HALF, shift - n - per_output)
                return saturate(words + machine.read(i["a"], count), WORD)
            case Drain.SCORES:
                return rescale(accumulators, i["multiplier"], shift - n - (per_output >> 8))
            case Drain.CONTEXT:
                return rescale(accumulators, gain, i["constant"] + context_shift)
