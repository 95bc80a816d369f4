"""Counters of a whole token: those of its matrices, added up."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.window import WORD
from hw.spec.registers import COUNTERS, ENCODE_COUNTERS


def counters_layout() -> data.StructLayout:
    """Return a word for each of :data:`hw.spec.registers.COUNTERS`."""
    return data.StructLayout(dict.fromkeys(COUNTERS, WORD))


class Totals(wiring.Component):
    """Adds a matrix's counters where it ends.

    Members
    -------
    clear : In(1)
        A token begins.
    add : In(1)
        A matrix has ended; pulses.
    reuse : In(1)
        Its vector was encoded before, and counted then.
    counters : In(struct)
        Of the matrix; see :func:`counters_layout`.
    totals : Out(struct)
        Their sums since ``clear``.
    """

    def __init__(self):
        flags = dict.fromkeys(("clear", "add", "reuse"), In(1))
        counters, totals = In(counters_layout()), Out(counters_layout())
        super().__init__({**flags, "counters": counters, "totals": totals})

    def elaborate(self, platform):
        """Add all at once, a cycle later: the counters stay until the next matrix begins."""
        m = Module()
        added, encoded = Signal(), Signal()
        m.d.sync += [added.eq(self.add), encoded.eq(self.add & ~self.reuse)]
        for name in COUNTERS:
            total, more = self.totals[name], self.counters[name]
            counts = encoded if name in ENCODE_COUNTERS else added
            with m.If(self.clear):
                m.d.sync += total.eq(0)
            with m.Else():
                m.d.sync += total.eq(total + Mux(counts, more, 0))
        return m
