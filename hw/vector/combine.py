"""What cores for encoders have beside the others: LayerNorm and sums of vectors."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.spec.params import CoreParams
from hw.vector.layer_norm import LayerNorm
from hw.vector.memory import ReadSignature, WriteSignature
from hw.vector.scaled_words import ScaledWords
from hw.vector.step import step_members
from hw.vector.sum_rows import SumRows


class Combine(wiring.Component):
    """Executes LAYER_NORM and SUM, which share what rescales words and writes them.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, norms, instruction, count, done
        See :func:`hw.vector.step.step_members`; ``norms`` tells with ``start`` that it is
        LAYER_NORM, not SUM.
    a, b : Out(ReadSignature)
        Vector memory.
    write : Out(WriteSignature)
        Vector memory.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                **step_members(),
                "norms": In(1),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "write": Out(WriteSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Who is idle drives 0, so that both may share what is behind them."""
        m = Module()
        m.submodules.norm = norm = LayerNorm(self.params)
        m.submodules.rows = rows = SumRows(self.params)
        m.submodules.scaled = scaled = ScaledWords(self.params)
        connect(m, scaled.write, flipped(self.write))
        connect(m, norm.b, flipped(self.b))
        numbers = scaled.numbers
        m.d.comb += [
            norm.start.eq(self.start & self.norms),
            rows.start.eq(self.start & ~self.norms),
            self.a.address.eq(norm.a.address | rows.a.address),
            norm.a.words.eq(self.a.words),
            rows.a.words.eq(self.a.words),
            scaled.start.eq(self.start),
            scaled.target.eq(self.instruction.target),
            numbers.valid.eq(norm.numbers.valid | rows.numbers.valid),
            numbers.payload.as_value().eq(
                norm.numbers.payload.as_value() | rows.numbers.payload.as_value()
            ),
            scaled.multiplier.eq(norm.multiplier | rows.multiplier),
            scaled.k.eq(norm.k | rows.k),
            scaled.store.eq(norm.store | rows.active),
            scaled.adds.eq(norm.adds),
            scaled.addends.eq(norm.addends),
            norm.mean.valid.eq(scaled.words.valid),
            norm.mean.p.eq(scaled.words.p),
            self.done.eq(scaled.done),
        ]
        for unit in (norm, rows):
            m.d.comb += [
                unit.instruction.eq(self.instruction),
                unit.count.eq(self.count),
                unit.ended.eq(scaled.done),
            ]
        return m
