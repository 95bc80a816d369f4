"""Analog-digital converters (``docs/crossbar.md`` §6)."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.crossbar import FRACTION, GAIN_FRACTION, IdealConverter, UniformConverter

#: Cycles from a current to its value.
LATENCY = 2


def model(current: int, converter: IdealConverter | UniformConverter, *, signed: bool) -> int:
    """Value of the code for a current, in levels."""
    if isinstance(converter, IdealConverter):
        return current + (1 << FRACTION - 1) >> FRACTION
    x = (current * converter.gain + (1 << GAIN_FRACTION - 1) >> GAIN_FRACTION) + converter.offset
    low, high = converter.range(signed)
    code = (x + (converter.step >> 1 if converter.nearest else 0)) // converter.step
    return min(max(code, low), high) * converter.value


def value_width(converter: IdealConverter | UniformConverter, current: int) -> int:
    """Signed bits of a value for a current of so many signed bits."""
    if isinstance(converter, IdealConverter):
        return current - FRACTION + 1
    return converter.bits + 1 + converter.value.bit_length()


class Converter(wiring.Component):
    """Converts a current a cycle, in :data:`LATENCY` cycles.

    Parameters
    ----------
    converter : IdealConverter or UniformConverter
        Its transfer law.
    width : int
        Signed bits of a current.
    bipolar : bool
        Whether the reading's current may be negative.

    Members
    -------
    current : In(signed(width))
        In 1/256 level.
    value : Out(signed)
        In levels.
    """

    def __init__(self, converter: IdealConverter | UniformConverter, *, width: int, bipolar: bool):
        self._converter, self._bipolar = converter, bipolar
        super().__init__(
            {"current": In(signed(width)), "value": Out(signed(value_width(converter, width)))}
        )

    def elaborate(self, platform):
        """Gain and offset; then approximate bit by bit, from the most significant one."""
        m = Module()
        converter, width = self._converter, len(self.current)
        if isinstance(converter, IdealConverter):
            rounded = Signal(signed(width))
            m.d.sync += [
                rounded.eq((self.current + (1 << FRACTION - 1)) >> FRACTION),
                self.value.eq(rounded),
            ]
            return m
        low, high = converter.range(self._bipolar)
        half = converter.step >> 1 if converter.nearest else 0
        bound = 18 + converter.bits + 1
        rest = Signal(signed(max(width + 2, bound) + 2))
        scaled = (self.current * converter.gain + (1 << GAIN_FRACTION - 1)) >> GAIN_FRACTION
        m.d.sync += rest.eq(scaled + (converter.offset + half - low * converter.step))
        code, left = Const(0, 1), rest
        for bit in reversed(range(converter.bits)):
            step = converter.step << bit
            fits = Signal(name=f"bit_{bit}")
            after = Signal.like(rest, name=f"rest_{bit}")
            m.d.comb += [fits.eq(left >= step), after.eq(Mux(fits, left - step, left))]
            code, left = code + (fits << bit), after
        m.d.sync += self.value.eq((code + low) * converter.value)
        return m
