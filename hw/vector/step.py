"""What every unit that executes vector instructions has in common."""

from __future__ import annotations

from amaranth.lib.wiring import In, Out

from hw.sequence.layout import instruction_layout


def step_members() -> dict:
    """Return the ports by which the sequencer drives a unit.

    Members
    -------
    start : In(1)
        Execute ``instruction``; pulses, only while the unit is idle.
    instruction : In
        See :func:`hw.sequence.layout.instruction_layout`; stable from ``start`` to ``done``.
    count : In(16)
        Elements, T where ``count_by_position`` is set; at least 1, and as stable.
    done : Out(1)
        All effects have happened; pulses, at the earliest a cycle after ``start``.
    """
    return {
        "start": In(1),
        "instruction": In(instruction_layout()),
        "count": In(16),
        "done": Out(1),
    }
