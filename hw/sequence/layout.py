"""The instruction as the gateware sees it."""

from __future__ import annotations

from amaranth.hdl import Shape
from amaranth.lib import data

from hw.spec.program import INSTRUCTION_BYTES, OPERANDS


def instruction_layout() -> data.FlexibleLayout:
    """Return the layout of an instruction; see :data:`hw.spec.program.OPERANDS`."""
    fields = {
        operand.name: data.Field(Shape(operand.width, operand.signed), operand.position)
        for operand in OPERANDS.values()
    }
    return data.FlexibleLayout(8 * INSTRUCTION_BYTES, fields)
