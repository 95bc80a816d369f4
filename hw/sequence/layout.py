"""The instruction as the gateware sees it."""

from __future__ import annotations

from amaranth.hdl import Shape, Value
from amaranth.lib import data

from hw.bus.csr import register_layout
from hw.spec.program import INSTRUCTION_BYTES, OPERANDS, Unit
from hw.spec.registers import REGISTERS


def instruction_layout() -> data.FlexibleLayout:
    """Return the layout of an instruction; see :data:`hw.spec.program.OPERANDS`."""
    fields = {
        operand.name: data.Field(Shape(operand.width, operand.signed), operand.position)
        for operand in OPERANDS.values()
    }
    return data.FlexibleLayout(8 * INSTRUCTION_BYTES, fields)


def is_wide(instruction) -> Value:
    """Tell whether the matrix of an instruction has 8-bit weights."""
    return register_layout(REGISTERS["mode"])(instruction.mode).format


def units_layout(shape) -> data.StructLayout:
    """Return a member of a shape for every :class:`hw.spec.program.Unit`, in lower case."""
    return data.StructLayout({unit.name.lower(): shape for unit in Unit})
