"""The encoder: vectors that it has encoded, and marks of rows, with the cycles of both."""

from __future__ import annotations

from typing import NamedTuple

from hw.spec.cycles import CHECK, LAUNCH
from hw.spec.params import CoreParams
from hw.spec.program import Instruction, mode
from sw.golden.codes import Encoded
from sw.plan.vector import Marks, VectorCost

#: Cycles from the last block until the sequencer knows that the vector is encoded.
_END = 1


class EncodedVector(NamedTuple):
    """A vector, and the cycle in which each block may be integrated."""

    cost: VectorCost
    stored: list[int]


class MarkedBank(NamedTuple):
    """Rows of a bank, and the cycle in which those of each block may be fetched."""

    marks: Marks
    known: list[int]


class Encoder:
    """Encodes one vector after the other.

    Parameters
    ----------
    params : CoreParams
        The core.

    Attributes
    ----------
    vectors : dict of int to EncodedVector
        By their numbers.
    banks : dict of int to MarkedBank
        By their numbers.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self.vectors: dict[int, EncodedVector] = {}
        self.banks: dict[int, MarkedBank] = {}

    def encode(self, instruction: Instruction, encoded: Encoded, *, start: int) -> int:
        """Execute an ENCODE from a cycle on; return the cycle in which it has ended."""
        fixed = bool(mode(instruction)["fixed"])
        cost = VectorCost.of(encoded, self._params, fixed=fixed)
        launch = start + CHECK + LAUNCH
        stored = [launch + cycle for cycle in cost.stored]
        fires, bank = cost.fires, instruction["bank"]
        if instruction["join"]:
            fires = fires | self.banks[bank].marks.fires
        self.vectors[instruction["vector"]] = EncodedVector(cost, stored)
        self.banks[bank] = MarkedBank(
            Marks(fires, hole=self._params.hole), [launch + cycle for cycle in cost.known]
        )
        return stored[-1] + _END
