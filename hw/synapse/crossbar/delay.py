"""Registers that let a value keep pace with a pipeline."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


def delayed(m: Module, value: Any, cycles: int) -> Any:
    """Return a value, of whatever shape, as it was so many cycles ago."""
    whole = Value.cast(value)
    name = whole.name if isinstance(whole, Signal) else "value"
    for stage in range(cycles):
        later = Signal.like(value, name=f"{name}_{stage + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value


class LongDelay(wiring.Component):
    """Does the same with a memory, for many cycles.

    Parameters
    ----------
    shape : ShapeLike
        Of the value.
    cycles : int
        At least 2.

    Members
    -------
    value : In
        The value.
    later : Out
        What it was so many cycles ago; 0 where that was before the reset.
    """

    def __init__(self, shape, cycles: int):
        if cycles < 2:
            raise ValueError(f"a memory delays by at least 2 cycles, not {cycles}")
        self._cycles = cycles
        super().__init__({"value": In(shape), "later": Out(shape)})

    def elaborate(self, platform):
        """Read what is overwritten next."""
        m = Module()
        cycles, width = self._cycles, len(Value.cast(self.value))
        m.submodules.ring = ring = Memory(shape=width, depth=cycles, init=[])
        write, read = ring.write_port(), ring.read_port()
        place, following = Signal(range(cycles)), Signal(range(cycles))
        unknown = Signal(range(cycles + 1), init=cycles)
        m.d.comb += [
            following.eq(Mux(place == cycles - 1, 0, place + 1)),
            write.addr.eq(place),
            write.data.eq(self.value),
            write.en.eq(1),
            read.addr.eq(following),
            Value.cast(self.later).eq(Mux(unknown == 0, read.data, 0)),
        ]
        m.d.sync += place.eq(following)
        with m.If(unknown != 0):
            m.d.sync += unknown.eq(unknown - 1)
        return m
