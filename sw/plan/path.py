"""The critical path: what a token waits for, cycle by cycle."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

#: Kind of the cycles in which the next instruction is only awaited and decoded.
SEQUENCER = "sequencer"


class Issued(NamedTuple):
    """An instruction that was issued.

    Attributes
    ----------
    kind : str
        What it is.
    cycle : int
        Cycle of its issue.
    cause : Issued or None
        What decided this cycle: the last instruction that had to end, or the one issued before.
    ended : bool
        It was the end of ``cause`` that decided.
    """

    kind: str
    cycle: int
    cause: Issued | None
    ended: bool


def waited(last: Issued) -> Counter[str]:
    """Ascribe all cycles until an issue, each to one kind of instruction.

    From an issue back to what decided it, and on from there: cycles go to the instruction whose end
    was awaited, from its issue on, or to :data:`SEQUENCER`. What runs beside it adds nothing.

    Parameters
    ----------
    last : Issued
        END.

    Returns
    -------
    Counter
        Cycles by kind, ``last.cycle`` in all.
    """
    cycles: Counter[str] = Counter()
    issued: Issued | None = last
    while issued is not None:
        cause = issued.cause
        kind = cause.kind if cause is not None and issued.ended else SEQUENCER
        cycles[kind] += issued.cycle - (cause.cycle if cause is not None else 0)
        issued = cause
    return cycles
