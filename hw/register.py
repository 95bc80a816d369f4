"""Registers without reset, for numbers that matter only where a bit beside them says so.

A reset that reaches all numbers, too, is a wire to every corner of a chip.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def plain_register(m: Module, output):
    """Return a register that drives an output of a component.

    Parameters
    ----------
    m : Module
        Of the component.
    output : Value or data.View
        What it drives.
    """
    register = Signal.like(output, name=f"kept_{_name(output)}", reset_less=True)
    m.d.comb += Value.cast(output).eq(Value.cast(register))
    return register


def _name(output) -> str:
    value = Value.cast(output)
    return value.name if isinstance(value, Signal) else "output"
