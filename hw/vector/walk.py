"""Counts through the beats of a vector."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.vector.memory import ADDRESS_BITS


def place_layout(width: int) -> data.StructLayout:
    """Return the layout of a beat's place.

    Parameters
    ----------
    width : int
        Elements of a full beat.

    Returns
    -------
    StructLayout
        ``offset`` of the first element, the ``count`` of elements that are read from the beat's
        front, and ``last`` in the last beat.
    """
    return data.StructLayout({"offset": ADDRESS_BITS, "count": range(width + 1), "last": 1})


class Walk(wiring.Component):
    """Says which beats of a vector are due, one a cycle, from the cycle after ``begin`` on.

    Parameters
    ----------
    width : int
        Elements of a beat, a power of two.

    Members
    -------
    begin : In(1)
        Begins a walk; pulses, only while there is none.
    count : In(16)
        Elements of the vector, at least 1.
    places : Out(stream)
        See :func:`place_layout`; must always be accepted.
    """

    def __init__(self, *, width: int):
        self.width = width
        super().__init__(
            {
                "begin": In(1),
                "count": In(16),
                "places": Out(stream.Signature(place_layout(width), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Count up the offset and down what remains."""
        m = Module()
        remaining = Signal.like(self.count)
        place, walking = self.places.p, self.places.valid
        m.d.comb += [
            place.last.eq(remaining <= self.width),
            place.count.eq(Mux(place.last, remaining, self.width)),
        ]
        m.d.sync += walking.eq(self.begin | (walking & ~place.last))
        with m.If(walking):
            m.d.sync += [
                place.offset.eq(place.offset + self.width),
                remaining.eq(remaining - self.width),
            ]
        with m.Else():  # whether it begins or not, which comes late
            m.d.sync += [place.offset.eq(0), remaining.eq(self.count)]
        return m
