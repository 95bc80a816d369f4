"""Reads the scores of a row and the scales of their values from vector memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.vector import exponential
from hw.vector.beat import WORD_BITS, beat_layout, delay, send
from hw.vector.memory import ADDRESS_BITS, READ_LATENCY, ReadSignature
from hw.vector.walk import Walk
from hw.vector.weight import EXPONENT_AT, EXPONENT_BITS, MANTISSA_BITS

#: Cycles from ``begin`` to the first scores: place, address, memory.
SCORE_LATENCY = 2 + READ_LATENCY

#: Cycles from scores to the scales of their values: those until their probabilities are known.
DISTANCE = exponential.LATENCY


def scale_layout() -> data.StructLayout:
    """Return the layout of a value's scale, its ``mantissa`` and ``exponent``."""
    return data.StructLayout({"mantissa": MANTISSA_BITS, "exponent": signed(EXPONENT_BITS)})


class RowReader(wiring.Component):
    """Reads a row, a beat a cycle, ``SCORE_LATENCY`` cycles after ``begin`` and later.

    Before it stands vector memory; behind it :class:`hw.vector.exponential.Exponential` and
    :class:`hw.vector.weight.Weight`: scales come when the probabilities of their scores do.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    begin, count
        See :class:`hw.vector.walk.Walk`.
    first_score, first_scale : In(16)
        Word addresses, stable while the row is read.
    a, b : Out(ReadSignature)
        Ports of vector memory, for scores and scales.
    scores : Out(stream)
        Beats of words; see :func:`hw.vector.beat.beat_layout`.
    scales : Out(stream)
        Beats of :func:`scale_layout`, ``DISTANCE`` cycles after their scores. Both must always be
        accepted.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        scores = beat_layout(signed(WORD_BITS), params.vector_width)
        scales = beat_layout(scale_layout(), params.vector_width)
        super().__init__(
            {
                "begin": In(1),
                "count": In(16),
                "first_score": In(ADDRESS_BITS),
                "first_scale": In(ADDRESS_BITS),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "scores": Out(stream.Signature(scores, always_ready=True)),
                "scales": Out(stream.Signature(scales, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Walk; addresses, the second one later; words."""
        m = Module()
        m.submodules.walk = walk = Walk(width=self.params.vector_width)
        m.d.comb += [walk.begin.eq(self.begin), walk.count.eq(self.count)]
        tags = delay(m, walk.places, DISTANCE + 1 + READ_LATENCY)
        offsets = [walk.places.p.offset]
        for cycle in range(DISTANCE - 1):
            offsets.append(Signal(ADDRESS_BITS, name=f"offset_{cycle}", reset_less=True))
            m.d.sync += offsets[-1].eq(offsets[-2])
        m.d.sync += [
            self.a.address.eq(Mux(tags[0].valid, self.first_score + offsets[0], 0)),
            self.b.address.eq(Mux(tags[DISTANCE - 1].valid, self.first_scale + offsets[-1], 0)),
        ]
        send(m, tags[1 + READ_LATENCY], self.scores)
        send(m, tags[-1], self.scales)
        m.d.comb += self.scores.p.elements.eq(self.a.words)
        scales = Signal.like(self.b.words, reset_less=True)  # they come from far, hence held
        m.d.sync += scales.eq(self.b.words)
        for i, word in enumerate(scales):
            scale = self.scales.p.elements[i]
            m.d.comb += [scale.mantissa.eq(word), scale.exponent.eq(word >> EXPONENT_AT)]
        return m
