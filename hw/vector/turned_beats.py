"""Turned pairs on their way back to vector memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.spec.params import CoreParams
from hw.vector.beat import beat_layout
from hw.vector.memory import ADDRESS_BITS, WriteSignature
from hw.vector.pair_beats import rotary_lanes
from hw.vector.rotary import pair_layout


class TurnedBeats(wiring.Component):
    """Writes pairs one beat, or word, after the other, as :class:`PairBeats` has read them.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    turned : In(stream)
        Pairs; always ready.
    by_beats, interleaved : In(1)
        See :class:`hw.vector.pair_beats.PairBeats`.
    first, second : In(16)
        Addresses of the words, or beats, that come next.
    step : Out(1)
        Both are written; pulses, with the second.
    write : Out(WriteSignature)
        The first a cycle after its first half has come, the second in the next cycle.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        turned = beat_layout(pair_layout(), rotary_lanes(params))
        super().__init__(
            {
                "turned": In(stream.Signature(turned, always_ready=True)),
                **dict.fromkeys(("by_beats", "interleaved"), In(1)),
                **dict.fromkeys(("first", "second"), In(ADDRESS_BITS)),
                "step": Out(1),
                "write": Out(WriteSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Keep each half for two cycles, as a beat of apart words needs both halves."""
        m = Module()
        width = self.params.vector_width
        come = self.turned.p.elements
        held, before = (
            Signal.like(come, name=name, reset_less=True) for name in ("held", "before")
        )
        begins = Signal()
        m.d.sync += [
            held.eq(come),
            before.eq(held),
            begins.eq(self.turned.valid & ~self.turned.p.last),
            self.step.eq(begins),
        ]
        address = Mux(self.step, self.second, self.first)
        # Of neighbours the half that is held makes a whole beat; else both halves make one.
        neighbours = [word for pair in held for word in (pair.a, pair.b)]
        apart = [
            *(Mux(self.step, old.b, new.a) for old, new in zip(before, held, strict=True)),
            *(Mux(self.step, old.b, new.a) for old, new in zip(held, come, strict=True)),
        ]
        single = Mux(self.step, before[0].b, held[0].a)
        with m.If(begins | self.step):
            m.d.comb += [
                self.write.address.eq(address),
                self.write.mask.eq(Mux(self.by_beats, ~0, 1 << address[: exact_log2(width)])),
            ]
            for word, neighbour, other in zip(self.write.words, neighbours, apart, strict=False):
                among_beats = Mux(self.interleaved, neighbour, other)
                m.d.comb += word.eq(Mux(self.by_beats, among_beats, single))
        return m
