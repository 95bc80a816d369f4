"""Codes of the weights of values (``docs/arithmetic.md`` §9)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.normalizer import Normalizer
from hw.register import plain_register
from hw.vector.beat import WIDTH, beat_layout, delay, send
from hw.vector.divider import Divider
from hw.vector.weight import WEIGHT_BITS

CODE_BITS = 8
LARGEST_CODE = (1 << CODE_BITS) - 1

#: Bits of a normalized weight N(w), and of the factor q.
NORMALIZED_BITS = 16
FACTOR_BITS = 16

#: Fraction bits of N(w) * q.
FRACTION = 23

#: Cycles from a beat of weights to its codes.
LATENCY = 4

#: Bits that the largest weight is normalized in.
_BITS = 1 << ceil_log2(WEIGHT_BITS)

#: Cycles from a row's largest weight to its scale.
SCALE_LATENCY = ceil_log2(_BITS) + 1

#: Bits of the distance that the second of the two shifters takes.
_FINE = 3


def model(weights: Sequence[int]) -> tuple[list[int], int, int]:
    """Codes of a row of weights.

    Parameters
    ----------
    weights : sequence of int
        w_t, 23 bits.

    Returns
    -------
    codes : list of int
        0..255; the largest weight has code 255, unless all are 0.
    mantissa : int
        N(W), 2^15..65,535; 0 if all weights are.
    exponent : int
        j: the largest weight is near ``mantissa * 2^j``; without meaning if all weights are 0.
    """
    largest = max(weights)
    j = max(largest, 1).bit_length() - NORMALIZED_BITS
    normalized = [weight << -j if j < 0 else weight >> j for weight in weights]
    mantissa = max(normalized)
    factor = (LARGEST_CODE << FRACTION) // max(mantissa, 1)
    codes = [w * factor + (1 << FRACTION - 1) >> FRACTION for w in normalized]
    return codes, mantissa, j


def scale_layout() -> data.StructLayout:
    """Return what the largest weight is: its ``mantissa`` and ``exponent``; see :func:`model`."""
    return data.StructLayout({"mantissa": NORMALIZED_BITS, "exponent": signed(6)})


class Probability(wiring.Component):
    """Second of the two passes over a row of weights: scales them to 8 bits, a beat a cycle.

    Before it stand :class:`hw.vector.weight.Weight`, which finds the largest weight, and the buffer
    of weights; behind it the classifier of the encoder, for which a code is a quotient of whole
    scales, and the rescaling of the context, which needs the scale.

    Parameters
    ----------
    width : int
        Weights a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a row's largest weight to the first beat of weights that may come.

    Members
    -------
    largest : In(stream)
        W of a row; the next one waits until all weights of the row have come.
    weights : In(stream)
        Beats of 23-bit weights, none above W; see :func:`hw.vector.beat.beat_layout`. Waits for W.
    codes : Out(stream)
        Beats of 8-bit codes, ``LATENCY`` cycles later; must always be accepted.
    scale : Out(stream)
        See :func:`scale_layout`; ``SCALE_LATENCY`` cycles after W; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        self.latency = SCALE_LATENCY + FACTOR_BITS + 1
        super().__init__(
            {
                "largest": In(stream.Signature(WEIGHT_BITS)),
                "weights": In(stream.Signature(beat_layout(WEIGHT_BITS, width))),
                "codes": Out(stream.Signature(beat_layout(CODE_BITS, width), always_ready=True)),
                "scale": Out(stream.Signature(scale_layout(), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Factor of the row; then coarse shift, fine shift, product and rounding."""
        m = Module()
        zeros, found = self._factor(m)
        factor = Signal.like(found, reset_less=True)  # nearer to the multipliers
        m.d.sync += factor.eq(found)
        codes = plain_register(m, self.codes.p.elements)
        tags = delay(m, self.weights, LATENCY)
        send(m, tags[-1], self.codes)
        for i in range(self.width):
            weight = self.weights.p.elements[i]
            coarse = Signal(_BITS, name=f"coarse_{i}", reset_less=True)
            fine = Signal(_BITS, name=f"fine_{i}", reset_less=True)
            product = Signal(NORMALIZED_BITS + FACTOR_BITS, name=f"product_{i}", reset_less=True)
            m.d.sync += [
                coarse.eq(weight << (zeros[_FINE:] << _FINE)),
                fine.eq(coarse << zeros[:_FINE]),
                product.eq(fine[-NORMALIZED_BITS:] * factor),
                codes[i].eq((product + (1 << FRACTION - 1)) >> FRACTION),
            ]
        return m

    def _factor(self, m):
        """Take W; return the leading zeros that all weights lose, and the factor q."""
        m.submodules.normalizer = normalizer = Normalizer(_BITS)
        m.submodules.divider = divider = Divider(
            dividend_bits=(LARGEST_CODE << FRACTION).bit_length(),
            divisor_bits=NORMALIZED_BITS,
            quotient_bits=FACTOR_BITS,
        )
        found = normalizer.normalized
        mantissa = found.p.value[-NORMALIZED_BITS:]
        zeros = Signal.like(found.p.zeros)
        factor = Signal(FACTOR_BITS)
        m.d.comb += [
            normalizer.number.payload.eq(self.largest.payload),
            normalizer.number.valid.eq(self.largest.valid & self.largest.ready),
            divider.operands.p.dividend.eq(LARGEST_CODE << FRACTION),
            divider.operands.p.divisor.eq(mantissa),
            divider.operands.valid.eq(found.valid),
            divider.quotient.ready.eq(1),
        ]
        m.d.sync += [
            self.scale.valid.eq(found.valid),
            self.scale.p.mantissa.eq(mantissa),
            self.scale.p.exponent.eq(_BITS - NORMALIZED_BITS - found.p.zeros),
        ]
        with m.If(found.valid):
            m.d.sync += zeros.eq(found.p.zeros)

        with m.FSM():
            with m.State("largest"):
                m.d.comb += self.largest.ready.eq(1)
                with m.If(self.largest.valid):
                    m.next = "factor"
            with m.State("factor"):
                with m.If(divider.quotient.valid):
                    m.d.sync += factor.eq(divider.quotient.payload)
                    m.next = "weights"
            with m.State("weights"):
                m.d.comb += self.weights.ready.eq(1)
                with m.If(self.weights.valid & self.weights.p.last):
                    m.next = "largest"
        return zeros, factor
