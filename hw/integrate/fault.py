"""Fault injection: what the ``fault`` register asks for."""

from __future__ import annotations

from amaranth.lib import data

from hw.spec.registers import REGISTERS

#: Kinds of fault: a bit of an event's code, or of an accumulator.
CODE = 1
ACCUMULATOR = 2


def fault_layout() -> data.StructLayout:
    """Fields of the ``fault`` register."""
    return data.StructLayout({field.name: field.width for field in REGISTERS["fault"].fields})
