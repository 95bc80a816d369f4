"""Codes the probabilities of a head's values (``docs/program.md``, SOFTMAX)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from hw.encode.input_buffer import input_signature
from hw.spec.params import CoreParams
from hw.vector import exponential, gain, probability, weight
from hw.vector.exponential import SUM_BITS
from hw.vector.gain import GAIN_BITS, Gain
from hw.vector.memory import ReadSignature
from hw.vector.probability import Probability
from hw.vector.row_reader import RowReader
from hw.vector.row_weights import RowWeights
from hw.vector.step import step_members
from hw.vector.weight import EXPONENT_AT, MANTISSA_BITS

#: Signed bits of ``jz - j - ev``.
GAIN_SHIFT_BITS = 7


class Row(NamedTuple):
    """What SOFTMAX makes of a row of scores.

    Attributes
    ----------
    codes : list of int
        0..255, for the encoder.
    gain : int
        G.
    gain_shift : int
        ``jz - j - ev``; without meaning where all codes are 0, as G is 0 there.
    """

    codes: list[int]
    gain: int
    gain_shift: int


def model(scores: Sequence[int], scales: Sequence[int]) -> Row:
    """Codes of a row of scores, and how their context is scaled.

    Parameters
    ----------
    scores : sequence of int
        Words, with 8 fraction bits.
    scales : sequence of int
        Words ``m + 256 * e`` of the values, m in 64..127, e in -32..31.
    """
    mantissas = [scale & ((1 << MANTISSA_BITS) - 1) for scale in scales]
    exponents = [scale >> EXPONENT_AT for scale in scales]
    probabilities, total = exponential.model(scores)
    weights, _ = weight.model(probabilities, mantissas, exponents)
    codes, mantissa, j = probability.model(weights)
    multiplier, jz = gain.model(total, mantissa)
    return Row(codes, multiplier, jz - j - max(exponents))


class Softmax(wiring.Component):
    """Reads a row three times: for its greatest score and exponent, for its sum, for its codes.

    Its cycles are :func:`hw.spec.token_cycles.softmax_cycles`.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`. ``done`` comes in the cycle after the last write of
        ``input``: the encoder may be started 4 cycles after it.
    a, b : Out(ReadSignature)
        Scores; scales of the values, words ``m + 256 * e`` with m in 64..127 and e in -32..31.
    input : Out
        Codes, beat behind beat from address 0; see :func:`hw.encode.input_buffer.input_signature`.
    gain : Out(16)
        G of the last row.
    gain_shift : Out(signed(7))
        Its ``jz - j - ev``. Both are right from ``done`` to the next row's ``done``.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                **step_members(),
                "a": Out(ReadSignature(params)),
                "b": Out(ReadSignature(params)),
                "input": Out(input_signature(params)),
                "gain": Out(GAIN_BITS),
                "gain_shift": Out(signed(GAIN_SHIFT_BITS)),
            }
        )

    def elaborate(self, platform):
        """Read; weights; codes; gain."""
        m = Module()
        m.submodules.reader = reader = RowReader(self.params)
        m.submodules.row = row = RowWeights(width=self.params.vector_width)
        m.submodules.probability = codes = Probability(width=self.params.vector_width)
        m.submodules.gain = gains = Gain()
        finding, weighing, coding = Signal(), Signal(), Signal()
        connect(m, flipped(self.a), reader.a)
        connect(m, flipped(self.b), reader.b)
        connect(m, reader.scores, row.scores)
        connect(m, reader.scales, row.scales)
        self._write(m, codes.codes)

        total, exponent = Signal(SUM_BITS), Signal.like(codes.scale.p.exponent)
        with m.If(row.total.valid):
            m.d.sync += total.eq(row.total.payload)
        with m.If(codes.scale.valid):
            m.d.sync += exponent.eq(codes.scale.p.exponent)
        m.d.comb += [
            reader.count.eq(self.count),
            codes.weights.valid.eq(row.weights.valid & coding),
            codes.weights.payload.eq(row.weights.payload),
            reader.first_score.eq(self.instruction.a),
            reader.first_scale.eq(self.instruction.b),
            row.finding.eq(finding),
            codes.largest.payload.eq(row.largest.payload),
            codes.largest.valid.eq(row.largest.valid & weighing),
            gains.sums.p.total.eq(total),
            gains.sums.p.mantissa.eq(codes.scale.p.mantissa),
            gains.sums.valid.eq(codes.scale.valid),
        ]

        m.d.sync += self.done.eq(0)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += reader.begin.eq(self.start)
                with m.If(self.start):
                    m.next = "find"
            with m.State("find"):
                m.d.comb += [finding.eq(1), reader.begin.eq(row.found)]
                with m.If(row.found):
                    m.next = "weigh"
            with m.State("weigh"):
                m.d.comb += [weighing.eq(1), reader.begin.eq(codes.weights.ready)]
                with m.If(codes.weights.ready):
                    m.next = "code"
            with m.State("code"):
                m.d.comb += coding.eq(1)
                with m.If(codes.codes.valid & codes.codes.p.last):
                    m.next = "close"
            with m.State("close"):
                m.d.comb += gains.gain.ready.eq(1)
                with m.If(gains.gain.valid):
                    jz, ev = gains.gain.p.exponent, row.largest_exponent
                    m.d.sync += [
                        self.gain.eq(gains.gain.p.gain),
                        self.gain_shift.eq(jz - exponent - ev),
                        self.done.eq(1),
                    ]
                    m.next = "idle"
        return m

    def _write(self, m, codes):
        """Hand codes to the encoder, from address 0 on."""
        address, width = Signal.like(self.input.address), self.params.vector_width
        m.d.sync += self.input.en.eq(Mux(codes.valid, (1 << codes.p.count) - 1, 0))
        m.d.sync += self.input.address.eq(Mux(codes.valid, address, 0))
        for element, code in zip(self.input.data, codes.p.elements, strict=True):
            m.d.sync += element.eq(Mux(codes.valid, code, 0))
        with m.If(codes.valid):
            m.d.sync += address.eq(Mux(codes.p.last, 0, address + width))
