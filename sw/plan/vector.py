"""What coded vectors cost: rows that are fetched, and cycles of the lanes."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from hw.spec.encoder_cycles import STORE, stored_cycles
from hw.spec.params import CoreParams
from sw.golden.codes import Encoded
from sw.golden.counters import lane_cycles
from sw.golden.sums import relative_levels, windows


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorCost:
    """Costs of each block of a vector.

    Attributes
    ----------
    fires : Tensor
        Rows that fire, bool, shape (G, 32).
    events : list of int
        How many they are.
    items : list of int
        Cycles of the lanes up to each handover.
    stored : list of int
        Cycles from the encoder's start until a block may be integrated.
    known : list of int
        The same until its rows may be fetched.
    """

    fires: Tensor
    events: list[int]
    items: list[int]
    stored: list[int]
    known: list[int]

    @classmethod
    def of(cls, encoded: Encoded, params: CoreParams, *, fixed: bool) -> VectorCost:
        """Cost of one vector; ``fixed`` says that its scales are."""
        fires = relative_levels(encoded) != 0
        digits = None
        if params.integrator == "spike":
            counts = [(levels != 0).sum(-1).tolist() for levels in windows(encoded)]
            digits = list(zip(*counts, strict=True))
        known = stored_cycles(encoded.inputs, codes=fixed)
        return cls(
            fires=fires,
            events=fires.sum(-1).tolist(),
            items=lane_cycles(encoded, params.integrator).tolist(),
            stored=stored_cycles(encoded.inputs, digits, codes=fixed),
            known=[cycle - STORE + 1 for cycle in known],  # marks stand behind a register
        )


class Marks:
    """Rows that are fetched, as some vector has an event there.

    Parameters
    ----------
    fires : Tensor
        They are, bool, shape (G, 32).
    hole : int
        Silent rows are fetched too where fewer than this stand together.

    Attributes
    ----------
    fires : Tensor
        As given.
    rows : list of int
        Rows of each block that fire.
    runs : list of list of (int, int)
        First and final row of neighbouring rows of each block that are fetched.
    """

    def __init__(self, fires: Tensor, *, hole: int) -> None:
        self.fires = fires
        self.rows: list[int] = fires.sum(-1).tolist()
        self.runs = [runs_of(block, hole) for block in fires]


def runs_of(fires: Tensor, hole: int) -> list[tuple[int, int]]:
    """Join rows that fire where fewer than ``hole`` silent ones stand between or before them."""
    runs: list[tuple[int, int]] = []
    below = -1
    for row in fires.nonzero().flatten().tolist():
        silent = row - below - 1
        first = row - silent if silent < hole else row
        if runs and first == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((first, row))
        below = row
    return runs
