"""Registers that let a value keep pace with a pipeline."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value


def delayed(m: Module, value: Any, cycles: int) -> Any:
    """Return a value, of whatever shape, as it was so many cycles ago."""
    whole = Value.cast(value)
    name = whole.name if isinstance(whole, Signal) else "value"
    for stage in range(cycles):
        later = Signal.like(value, name=f"{name}_{stage + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
