"""Counters of a whole token: those of its instructions, added up."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.window import WORD
from hw.spec.registers import COUNTERS, ENCODE_COUNTERS


def counters_layout() -> data.StructLayout:
    """Return a word for each of :data:`hw.spec.registers.COUNTERS`."""
    return data.StructLayout(dict.fromkeys(COUNTERS, WORD))


def counted_layout() -> data.StructLayout:
    """Return a bit for an ENCODE whose events count, and one for a MATVEC whose reads count."""
    return data.StructLayout({"encode": 1, "matvec": 1})


class Totals(wiring.Component):
    """Adds the counters of an ENCODE, or of a MATVEC, where it ends.

    Members
    -------
    clear : In(1)
        A token begins.
    ended : In(struct)
        What counts has ended; each bit pulses. See :func:`counted_layout`.
    counters : In(struct)
        Of what ended; see :func:`counters_layout`.
    totals : Out(struct)
        Their sums since ``clear``.
    """

    def __init__(self):
        super().__init__(
            {
                "clear": In(1),
                "ended": In(counted_layout()),
                "counters": In(counters_layout()),
                "totals": Out(counters_layout()),
            }
        )

    def elaborate(self, platform):
        """Add what ended, a cycle later: its counters stay until the next one begins."""
        m = Module()
        added = Signal(counted_layout())
        m.d.sync += added.eq(self.ended)
        for name in COUNTERS:
            total, more = self.totals[name], self.counters[name]
            ended = added.encode if name in ENCODE_COUNTERS else added.matvec
            with m.If(self.clear):
                m.d.sync += total.eq(0)
            with m.Else():
                m.d.sync += total.eq(total + Mux(ended, more, 0))
        return m
