"""Gain of a head's context (``docs/arithmetic.md`` §9)."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.normalizer import Normalizer
from hw.vector.divider import Divider
from hw.vector.exponential import SUM_BITS
from hw.vector.probability import LARGEST_CODE, NORMALIZED_BITS

GAIN_BITS = 16
GAIN_MAX = (1 << GAIN_BITS) - 1

#: Dividend of zr, and its bits before it is clamped.
_DIVIDEND = 1 << 39
_QUOTIENT_BITS = GAIN_BITS + 1

_DIVISOR_BITS = NORMALIZED_BITS + LARGEST_CODE.bit_length()

#: Cycles from a row's sum to its gain: top of the sum, divisor, quotient, product, rounding.
LATENCY = ceil_log2(SUM_BITS) + 1 + (_QUOTIENT_BITS + 1) + 3


def model(total: int, mantissa: int) -> tuple[int, int]:
    """Gain of the context and exponent of the sum.

    Parameters
    ----------
    total : int
        Z, at least 1.
    mantissa : int
        N(W), 0..65535.

    Returns
    -------
    gain : int
        G, 0..65534.
    exponent : int
        jz.
    """
    jz = total.bit_length() - NORMALIZED_BITS
    top = total << -jz if jz < 0 else total >> jz
    reciprocal = min(_DIVIDEND // (LARGEST_CODE * top), GAIN_MAX)
    return mantissa * reciprocal + (1 << 15) >> 16, jz


def sums_layout() -> data.StructLayout:
    """Return the layout of a row's ``total`` Z and the ``mantissa`` N(W) of its largest weight."""
    return data.StructLayout({"total": SUM_BITS, "mantissa": NORMALIZED_BITS})


def gain_layout() -> data.StructLayout:
    """Return what :func:`model` gives: ``gain`` and ``exponent``."""
    return data.StructLayout({"gain": GAIN_BITS, "exponent": signed(6)})


class Gain(wiring.Component):
    """Divides the scale of a row's codes by the sum of its probabilities.

    Before it stand :class:`hw.vector.exponential.Exponential` and
    :class:`hw.vector.probability.Probability`; behind it the rescaling of the context.

    Members
    -------
    sums : In(stream)
        See :func:`sums_layout`, Z at least 1; waits until the gain of the row before is taken.
    gain : Out(stream)
        See :func:`gain_layout`; ``LATENCY`` cycles later.
    """

    sums: In(stream.Signature(sums_layout()))
    gain: Out(stream.Signature(gain_layout()))

    def elaborate(self, platform):
        """Top of the sum; 255 times that; its reciprocal; product; rounding."""
        m = Module()
        m.submodules.normalizer = normalizer = Normalizer(SUM_BITS)
        m.submodules.divider = divider = Divider(
            dividend_bits=_DIVIDEND.bit_length(),
            divisor_bits=_DIVISOR_BITS,
            quotient_bits=_QUOTIENT_BITS,
        )
        found, quotient = normalizer.normalized, divider.quotient
        top = found.p.value[-NORMALIZED_BITS:]
        busy, divides, divided, multiplied = Signal(), Signal(), Signal(), Signal()
        mantissa = Signal(NORMALIZED_BITS)
        divisor = Signal(_DIVISOR_BITS)
        # Plain registers, which a multiplier can take in, as it lies far from the divider.
        factors = [Signal(NORMALIZED_BITS, reset_less=True), Signal(GAIN_BITS, reset_less=True)]
        product = Signal(GAIN_BITS + NORMALIZED_BITS, reset_less=True)
        reciprocal = Mux(quotient.payload[-1], GAIN_MAX, quotient.payload[:-1])
        m.d.comb += [
            self.sums.ready.eq(~busy),
            normalizer.number.payload.eq(self.sums.p.total),
            normalizer.number.valid.eq(self.sums.valid & ~busy),
            divider.operands.p.dividend.eq(_DIVIDEND),
            divider.operands.p.divisor.eq(divisor),
            divider.operands.valid.eq(divides),
            quotient.ready.eq(1),
        ]
        m.d.sync += [
            divisor.eq((top << LARGEST_CODE.bit_length()) - top),
            divides.eq(found.valid),
            factors[0].eq(mantissa),
            factors[1].eq(reciprocal),
            divided.eq(quotient.valid),
            product.eq(factors[1] * factors[0]),
            multiplied.eq(divided),
        ]
        with m.If(self.sums.valid & ~busy):
            m.d.sync += [busy.eq(1), mantissa.eq(self.sums.p.mantissa)]
        with m.If(found.valid):
            m.d.sync += self.gain.p.exponent.eq(SUM_BITS - NORMALIZED_BITS - found.p.zeros)
        with m.If(multiplied):
            # Neither factor is above 65535: so is the rounded product, without a clamp.
            m.d.sync += [
                self.gain.p.gain.eq((product + (1 << 15)) >> GAIN_BITS),
                self.gain.valid.eq(1),
            ]
        with m.Elif(self.gain.valid & self.gain.ready):
            m.d.sync += [self.gain.valid.eq(0), busy.eq(0)]
        return m
