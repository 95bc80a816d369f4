"""Clock cycles of crossbars, in closed form; tests hold them equal to the gateware."""

from __future__ import annotations

from hw.spec.codes import BLOCK, digits
from hw.spec.crossbar import Crossbar
from hw.spec.noise import INJECT, ROUNDS
from hw.spec.params import CoreParams

#: From a counter to its deviate.
DEVIATE = ROUNDS // INJECT + 1

#: From a closed time step to the group's sums in emulated lanes: registers of the columns, current
#: and its noise, converter, digital sums.
READ = 1 + (DEVIATE + 1) + 2 + 2


#: Cycles in which all time steps of an array of several blocks are read, in emulated lanes: one for
#: each level of either window, and one to end it.
LARGEST = (1 << CoreParams.code_width - 1) - 1
SWEEP = digits(LARGEST)[0] + 1 + LARGEST + 1


def lanes_latency(crossbar: Crossbar) -> int:
    """Cycles from a row's beat to the handover for which it was the last, in emulated lanes."""
    cells = 1 if crossbar.device.exact else DEVIATE + 2
    return cells + READ + (SWEEP + 1 if crossbar.rows > BLOCK else 0)


def array_interval(crossbar: Crossbar) -> int:
    """Least cycles from the end of an array to that of the next, in emulated lanes."""
    return SWEEP + 1 if crossbar.rows > BLOCK else 1


def step_cycles(crossbar: Crossbar, phases: int = 1) -> int:
    """Cycles of a time step in a macro: lines settle, then each converter serves its columns.

    Parameters
    ----------
    crossbar : Crossbar
        The macro.
    phases : int
        Phases of the step in which lines are raised.
    """
    turns = crossbar.columns_per_converter * len(crossbar.cells.readings)
    return crossbar.access + phases * turns
