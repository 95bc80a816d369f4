"""Counts through the elements of a vector."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

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
        ``offset`` of an element of the beat, the ``count`` of elements that are read from its
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
    singly : In(1)
        Every beat comes ``width`` times, as often as it has elements, and ends with the first of
        them, the second and so on: ``offset`` is that of the element.
    count : In(16)
        Elements of the vector, at least 1. Both are stable while it walks.
    places : Out(stream)
        See :func:`place_layout`; must always be accepted.
    """

    def __init__(self, *, width: int):
        self.width = width
        super().__init__(
            {
                "begin": In(1),
                "singly": In(1),
                "count": In(16),
                "places": Out(stream.Signature(place_layout(width), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Count up the offset and down what remains."""
        m = Module()
        remaining = Signal.like(self.count)
        place, walking = self.places.p, self.places.valid
        within = place.offset[: exact_log2(self.width)]
        m.d.comb += [
            place.last.eq(remaining <= Mux(self.singly, 1, self.width)),
            place.count.eq(
                Mux(self.singly, within + 1, Mux(place.last, remaining, self.width)),
            ),
        ]
        with m.If(walking):
            step = Mux(self.singly, 1, self.width)
            m.d.sync += [
                place.offset.eq(place.offset + step),
                remaining.eq(remaining - step),
                walking.eq(~place.last),
            ]
        with m.If(self.begin):
            m.d.sync += [place.offset.eq(0), remaining.eq(self.count), walking.eq(1)]
        return m
