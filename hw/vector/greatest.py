"""Finds the greatest element of a vector."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.vector.beat import WIDTH, beat_layout, delay
from hw.vector.reduction import greater, reduce, reduction_stages


class Greatest(wiring.Component):
    """Compares the elements of a vector, a beat a cycle.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    width : int
        Elements a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a vector's last beat to its greatest element.

    Members
    -------
    elements : In(stream)
        Vectors, one behind the other; see :func:`hw.vector.beat.beat_layout`; always ready.
    greatest : Out(stream)
        Greatest element of each vector; must always be accepted. The payload stays until the next
        vector comes.
    """

    def __init__(self, *, shape: ShapeLike, width: int = WIDTH):
        self.shape, self.width = Shape.cast(shape), width
        self.latency = 1 + reduction_stages(width)
        elements = beat_layout(shape, width)
        super().__init__(
            {
                "elements": In(stream.Signature(elements, always_ready=True)),
                "greatest": Out(stream.Signature(shape, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Put the least number in places that are empty; then reduce."""
        m = Module()
        least = -(1 << self.shape.width - 1) if self.shape.signed else 0
        tags, beat = delay(m, self.elements, 1), self.elements.p
        terms = [Signal(self.shape, name=f"term_{i}", reset_less=True) for i in range(self.width)]
        greatest = Signal(self.shape)
        m.d.sync += [
            term.eq(Mux(beat.count > i, beat.elements[i], least)) for i, term in enumerate(terms)
        ]
        m.d.comb += [
            self.greatest.valid.eq(reduce(m, terms, tags[1], greater, greatest, start=least)),
            self.greatest.payload.eq(greatest),
        ]
        return m
