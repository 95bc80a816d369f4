"""Register slice: cuts the paths of a stream in both directions."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.register import plain_register


class Slice(wiring.Component):
    """Passes a stream on one cycle later, at full rate; ``ready`` is a register too.

    Parameters
    ----------
    shape : ShapeLike
        Payload.

    Attributes
    ----------
    source : In(stream)
        What comes.
    target : Out(stream)
        What leaves.
    """

    def __init__(self, shape):
        super().__init__(
            {"source": In(stream.Signature(shape)), "target": Out(stream.Signature(shape))}
        )

    def elaborate(self, platform):
        """Keep what came before the source saw that it has to wait."""
        m = Module()
        source, target = self.source, self.target
        kept, keeps = Signal.like(source.payload, reset_less=True), Signal()
        payload = plain_register(m, target.payload)
        m.d.comb += source.ready.eq(~keeps)
        with m.If(~keeps):
            m.d.sync += [kept.eq(source.payload), keeps.eq(source.valid)]
        with m.If(target.ready | ~target.valid):
            m.d.sync += [
                target.valid.eq(source.valid | keeps),
                payload.eq(Mux(keeps, kept, source.payload)),
                keeps.eq(0),
            ]
        return m
