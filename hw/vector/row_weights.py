"""Weights of a row of values, from scores and scales (``docs/arithmetic.md`` §9)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay, send
from hw.vector.exponential import SUM_BITS, Exponential
from hw.vector.greatest import Greatest
from hw.vector.row_reader import scale_layout
from hw.vector.weight import EXPONENT_BITS, WEIGHT_BITS, Weight


class RowWeights(wiring.Component):
    """Takes a row twice: for its greatest score and exponent, then for its weights.

    Before it stands :class:`hw.vector.row_reader.RowReader`, behind it
    :class:`hw.vector.probability.Probability`. The second pass may be repeated.

    Parameters
    ----------
    width : int
        Scores a cycle, at least 1.

    Members
    -------
    finding : In(1)
        What comes is a first pass; from before its first beat until ``found``.
    scores, scales : In(stream)
        A row; see :class:`hw.vector.row_reader.RowReader`; always ready.
    found : Out(1)
        The first pass is over; pulses.
    largest_exponent : Out(signed(6))
        ev, from ``found`` until the next first pass.
    total : Out(stream)
        Z of the row, in every other pass; must always be accepted.
    weights : Out(stream)
        Beats of weights w, as they come, in every other pass; must always be accepted.
    largest : Out(stream)
        W of the row, in every other pass and after ``total``; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        always = {"always_ready": True}
        scores = beat_layout(signed(WORD_BITS), width)
        scales = beat_layout(scale_layout(), width)
        weights = beat_layout(WEIGHT_BITS, width)
        super().__init__(
            {
                "finding": In(1),
                "scores": In(stream.Signature(scores, **always)),
                "scales": In(stream.Signature(scales, **always)),
                "found": Out(1),
                "largest_exponent": Out(signed(EXPONENT_BITS)),
                "total": Out(stream.Signature(SUM_BITS, **always)),
                "weights": Out(stream.Signature(weights, **always)),
                "largest": Out(stream.Signature(WEIGHT_BITS, **always)),
            }
        )

    def elaborate(self, platform):
        """Greatest score and exponent; powers of two; these times mantissas."""
        m = Module()
        m.submodules.score = score = Greatest(shape=signed(WORD_BITS), width=self.width)
        m.submodules.exponent = exponent = Greatest(shape=signed(EXPONENT_BITS), width=self.width)
        m.submodules.exponential = exponential = Exponential(width=self.width)
        m.submodules.weight = weight = Weight(width=self.width)
        scores, scales = self.scores.p.elements, self.scales.p.elements
        probabilities = exponential.probabilities

        for source, target in (
            (self.scores, score.elements),
            (self.scales, exponent.elements),
            (self.scores, exponential.scores),
            (probabilities, weight.probabilities),
        ):
            send(m, delay(m, source, 0)[0], target)
        m.d.comb += [
            score.elements.valid.eq(self.scores.valid & self.finding),
            exponent.elements.valid.eq(self.scales.valid & self.finding),
            exponential.scores.valid.eq(self.scores.valid & ~self.finding),
            score.elements.p.elements.eq(scores),
            Cat(exponent.elements.p.elements).eq(Cat(scale.exponent for scale in scales)),
            exponential.scores.p.elements.eq(scores),
            exponential.maximum.eq(score.greatest.payload),
            weight.largest_exponent.eq(exponent.greatest.payload),
            self.largest_exponent.eq(exponent.greatest.payload),
            # Scales come after scores.
            self.found.eq(exponent.greatest.valid),
        ]
        for i, element in enumerate(weight.probabilities.p.elements):
            m.d.comb += [
                element.probability.eq(probabilities.p.elements[i]),
                element.mantissa.eq(scales[i].mantissa),
                element.exponent.eq(scales[i].exponent),
            ]
        connect(m, exponential.total, flipped(self.total))
        connect(m, weight.weights, flipped(self.weights))
        connect(m, weight.largest, flipped(self.largest))
        return m
