"""Which units an instruction waits for, so that all act as if each ended before the next began.

An instruction may still run when another begins unless something in between waited for its unit:
instructions begin in order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from hw.spec.params import CoreParams
from hw.spec.program import Instruction, Opcode, Unit
from sw.compile.footprint import Footprint


class _Running:
    """The last instruction of every unit, if it may still run."""

    def __init__(self) -> None:
        self._last: dict[Unit, tuple[int, list[Footprint]]] = {}

    def wait(self, units: int) -> None:
        """Await the units of these bits."""
        for unit in Unit:
            if units >> unit & 1:
                self._last.pop(unit, None)

    def begin(self, number: int, footprints: list[Footprint]) -> None:
        """Let an instruction begin, whose unit was awaited."""
        self._last[footprints[0].unit] = number, footprints

    def conflicts(self, footprints: list[Footprint]) -> Iterable[tuple[Unit, int, str]]:
        """Tell the units, instructions and places that an instruction must wait for."""
        for unit, (number, others) in self._last.items():
            for mine, theirs in zip(footprints, others, strict=True):
                if what := mine.conflict(theirs):
                    yield unit, number, what
                    break


def with_waits(
    instructions: Sequence[Instruction], params: CoreParams, *, positions: Sequence[int]
) -> list[Instruction]:
    """Let every instruction wait for the fewest units.

    Parameters
    ----------
    instructions : sequence of Instruction
        A program, END excluded.
    params : CoreParams
        The core.
    positions : sequence of int
        The first and the last that the program serves.

    Returns
    -------
    list of Instruction
        The same with ``after``.
    """
    running, waiting = _Running(), []
    for number, instruction in enumerate(instructions):
        footprints = [Footprint.of(instruction, params, position=p) for p in positions]
        running.wait(1 << footprints[0].unit)
        after = sum({1 << unit for unit, _, _ in running.conflicts(footprints)})
        running.wait(after)
        running.begin(number, footprints)
        operands = instruction.operands | ({"after": after} if after else {})
        waiting.append(dataclasses.replace(instruction, operands=operands))
    return waiting


def check_hazards(
    instructions: Sequence[Instruction], params: CoreParams, *, position: int, token: int = 0
) -> None:
    """Refuse programs, each with its END, whose instructions may meet at one place.

    Parameters
    ----------
    instructions : sequence of Instruction
        One program or several.
    params : CoreParams
        The core.
    position, token : int
        What the host gives.

    Raises
    ------
    ValueError
        If an instruction may begin too early; the message names it, what still runs, and what both
        touch.
    """
    running = _Running()
    for number, instruction in enumerate(instructions):
        if instruction.opcode == Opcode.END:
            running = _Running()
            continue
        footprint = Footprint.of(instruction, params, position=position, token=token)
        running.wait(instruction["after"] | 1 << footprint.unit)
        for _, other, what in running.conflicts([footprint]):
            raise ValueError(
                f"instruction {number} ({instruction.opcode.name}) may begin before "
                f"{other} ({instructions[other].opcode.name}) has ended, but both touch {what}"
            )
        running.begin(number, [footprint])
