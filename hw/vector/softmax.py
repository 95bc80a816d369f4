"""Codes the probabilities of a head's values (``docs/program.md``, SOFTMAX)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.encode.block_sums import input_signature
from hw.spec.params import CoreParams
from hw.vector import exponential, gain, probability, weight
from hw.vector.beat import delay, send
from hw.vector.exponential import LATENCY as POWER_LATENCY
from hw.vector.exponential import SUM_BITS, Exponential
from hw.vector.gain import GAIN_BITS, Gain
from hw.vector.memory import READ_LATENCY, ReadSignature
from hw.vector.probability import Probability
from hw.vector.reduction import greater, reduce
from hw.vector.step import step_members
from hw.vector.walk import Walk
from hw.vector.weight import EXPONENT_BITS, MANTISSA_BITS, Weight

#: Bits of a scale's word below its exponent.
SCALE_MANTISSA = 8

#: Signed bits of ``jz - j - ev``.
GAIN_SHIFT_BITS = 7

#: Cycles from a place to its word: the address has a register.
_READ = 1 + READ_LATENCY


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
    exponents = [scale >> SCALE_MANTISSA for scale in scales]
    probabilities, total = exponential.model(scores)
    weights, _ = weight.model(probabilities, mantissas, exponents)
    codes, mantissa, j = probability.model(weights)
    multiplier, jz = gain.model(total, mantissa)
    return Row(codes, multiplier, jz - j - max(exponents))


class Softmax(wiring.Component):
    """Reads a row three times: for its greatest score and exponent, for its sum, for its codes.

    The first two passes take a beat a cycle, the last one an element a cycle, as the encoder does.
    From ``start`` to ``done`` pass ``2 * ceil(count / width) + count + FIXED`` cycles.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start, instruction, count, done
        See :func:`hw.vector.step.step_members`. ``done`` comes in the cycle after the last write of
        ``input``: the encoder may be started 2 cycles after it.
    a, b : Out(ReadSignature)
        Scores; scales of the values, words ``m + 256 * e`` with m in 64..127 and e in -32..31.
    input : Out
        Codes, in order from address 0; see :func:`hw.encode.block_sums.input_signature`.
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
        """Read; powers of two; weights; one of them a cycle; codes; gain."""
        m = Module()
        width = self.params.vector_width
        m.submodules.walk = walk = Walk(width=width)
        m.submodules.exponential = powers = Exponential(width=width)
        m.submodules.weight = weights = Weight(width=width)
        m.submodules.probability = codes = Probability(width=1)
        m.submodules.gain = gains = Gain()
        finding, weighing, coding = Signal(), Signal(), Signal()
        m.d.comb += [walk.count.eq(self.count), walk.singly.eq(coding)]

        tags = self._read(m, walk.places)
        found = self._find(m, tags, finding, powers.maximum, weights.largest_exponent)
        self._weigh(m, tags[_READ], powers, weights, finding)
        self._choose(m, weights.weights, codes.weights, coding)
        self._write(m, codes.codes)

        total, exponent = Signal(SUM_BITS), Signal.like(codes.scale.p.exponent)
        with m.If(powers.total.valid & weighing):
            m.d.sync += total.eq(powers.total.payload)
        with m.If(codes.scale.valid):
            m.d.sync += exponent.eq(codes.scale.p.exponent)
        m.d.comb += [
            codes.largest.payload.eq(weights.largest.payload),
            codes.largest.valid.eq(weights.largest.valid & weighing),
            gains.sums.p.total.eq(total),
            gains.sums.p.mantissa.eq(codes.scale.p.mantissa),
            gains.sums.valid.eq(codes.scale.valid),
        ]

        m.d.sync += self.done.eq(0)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += walk.begin.eq(self.start)
                with m.If(self.start):
                    m.next = "find"
            with m.State("find"):
                m.d.comb += [finding.eq(1), walk.begin.eq(found)]
                with m.If(found):
                    m.next = "weigh"
            with m.State("weigh"):
                m.d.comb += [weighing.eq(1), walk.begin.eq(codes.weights.ready)]
                with m.If(codes.weights.ready):
                    m.next = "code"
            with m.State("code"):
                m.d.comb += coding.eq(1)
                with m.If(codes.codes.valid & codes.codes.p.last):
                    m.next = "close"
            with m.State("close"):
                m.d.comb += gains.gain.ready.eq(1)
                with m.If(gains.gain.valid):
                    jz, ev = gains.gain.p.exponent, weights.largest_exponent
                    m.d.sync += [
                        self.gain.eq(gains.gain.p.gain),
                        self.gain_shift.eq(jz - exponent - ev),
                        self.done.eq(1),
                    ]
                    m.next = "idle"
        return m

    def _read(self, m, places):
        """Address the scores, and the scales as much later as the scores' powers take."""
        tags = delay(m, places, _READ + POWER_LATENCY)
        offsets = [places.p.offset]
        for cycle in range(POWER_LATENCY):
            offsets.append(Signal.like(places.p.offset, name=f"offset_{cycle}"))
        a, b = self.instruction.a + offsets[0], self.instruction.b + offsets[-1]
        m.d.sync += [
            *(after.eq(before) for before, after in zip(offsets, offsets[1:], strict=False)),
            self.a.address.eq(Mux(tags[0].valid, a, 0)),
            self.b.address.eq(Mux(tags[POWER_LATENCY].valid, b, 0)),
        ]
        return tags

    def _find(self, m, tags, finding, score, exponent):
        """Keep the greatest score and exponent of the first pass; return when both are found."""
        results = []
        scores = self.a.words
        exponents = [_exponent(scale) for scale in self.b.words]
        for words, tag, greatest in ((scores, tags[_READ], score), (exponents, tags[-1], exponent)):
            least = -(1 << len(greatest) - 1)
            seen, result = Signal.like(tag), Signal.like(greatest)
            terms = [Mux(tag.count > i, word, least) for i, word in enumerate(words)]
            m.d.comb += [seen.eq(tag), seen.valid.eq(tag.valid & finding), greatest.eq(result)]
            results.append(reduce(m, terms, seen, greater, result, start=least))
        return results[-1]

    def _weigh(self, m, tag, powers, weights, finding):
        """Scores and their scales to weights."""
        m.d.comb += powers.scores.p.elements.eq(self.a.words)
        send(m, tag, powers.scores)
        m.d.comb += powers.scores.valid.eq(tag.valid & ~finding)

        beats = powers.probabilities
        send(m, delay(m, beats, 0)[0], weights.probabilities)
        for i, scale in enumerate(self.b.words):
            element = weights.probabilities.p.elements[i]
            m.d.comb += [
                element.probability.eq(beats.p.elements[i]),
                element.mantissa.eq(scale[:MANTISSA_BITS]),
                element.exponent.eq(_exponent(scale)),
            ]

    def _choose(self, m, beats, chosen, coding):
        """Take the weight that ends a beat."""
        m.d.sync += [
            chosen.valid.eq(beats.valid & coding),
            chosen.p.elements[0].eq(beats.p.elements[(beats.p.count - 1)[: len(beats.p.count)]]),
            chosen.p.count.eq(1),
            chosen.p.last.eq(beats.p.last),
        ]

    def _write(self, m, codes):
        """Hand codes to the encoder, from address 0 on."""
        address = Signal.like(self.input.address)
        m.d.sync += [
            self.input.en.eq(codes.valid),
            self.input.address.eq(Mux(codes.valid, address, 0)),
            self.input.data.eq(Mux(codes.valid, codes.p.elements[0], 0)),
        ]
        with m.If(codes.valid):
            m.d.sync += address.eq(Mux(codes.p.last, 0, address + 1))


def _exponent(scale):
    """Take the exponent of a scale's word."""
    return scale[SCALE_MANTISSA : SCALE_MANTISSA + EXPONENT_BITS].as_signed()
