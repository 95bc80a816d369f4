"""Reciprocal of a residual's root mean square (``docs/arithmetic.md`` §6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import add

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.normalizer import Normalizer
from hw.vector.beat import LONGEST, WIDTH, WORD_BITS, beat_layout, delay
from hw.vector.divider import Divider
from hw.vector.multiplier import PART_BITS
from hw.vector.reduction import reduce, reduction_stages
from hw.vector.square_root import SquareRoot

MULTIPLIER_BITS = 16
MULTIPLIER_MAX = (1 << MULTIPLIER_BITS) - 1

#: Bits of EPS, and of the longest sum of squares without it.
SUM_BITS = 2 * (WORD_BITS - 1) + ceil_log2(LONGEST)

#: Bits of A = ss + EPS, made a power of two, and of its top a.
TOTAL_BITS = 64
TOP_BITS = 32

#: Bits of s, and of its reciprocal: as many cycles each takes, and one to begin.
ROOT_BITS = TOP_BITS // 2
QUOTIENT_BITS = MULTIPLIER_BITS + 1

#: Signed bits of a word above those that a multiplier takes at once.
_HIGH = WORD_BITS - PART_BITS

#: Squares of that part, by its bits.
_SQUARES = Array(min(bits, 2**_HIGH - bits) ** 2 for bits in range(2**_HIGH))


def model(words: Sequence[int], epsilon: int, root_of_length: int) -> tuple[int, int]:
    """Multiplier and exponent of a residual.

    Parameters
    ----------
    words : sequence of int
        The residual h, 24 bits each, at most 65,536.
    epsilon : int
        EPS, at least 1.
    root_of_length : int
        SQ, 2^15..65,535: the mantissa of the root of the length.

    Returns
    -------
    multiplier : int
        R, at most 65,535.
    exponent : int
        u: 1/rms is ``R * 2^(RF + sq - 15 - u)``.
    """
    total = sum(word * word for word in words) + epsilon
    u = -((TOP_BITS - total.bit_length()) // 2)
    top = total >> 2 * u if u >= 0 else total << -2 * u
    reciprocal = min((1 << 31) // math.isqrt(top), MULTIPLIER_MAX)
    return reciprocal * root_of_length + (1 << 15) >> 16, u


def scale_layout() -> data.StructLayout:
    """Return what :func:`model` gives: ``multiplier`` and ``exponent``."""
    return data.StructLayout({"multiplier": MULTIPLIER_BITS, "exponent": signed(6)})


class RootMeanSquare(wiring.Component):
    """Norm of a residual, from one pass over it.

    Before it stands the buffer of the residual, the same beats of which are multiplied by gamma for
    :class:`hw.vector.normalization_shift.NormalizationShift`; behind it the rescaling of the
    accumulators of the matrix that follows the norm, which is long after.

    Parameters
    ----------
    width : int
        Words a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a residual's last beat to its scale.

    Members
    -------
    words : In(stream)
        Beats of 24-bit words; see :func:`hw.vector.beat.beat_layout`. Waits from a last beat until
        the scale of its residual is taken.
    epsilon : In(62)
        EPS, at least 1.
    root_of_length : In(16)
        SQ. Both are stable from a residual's first beat until its scale is taken.
    scale : Out(stream)
        See :func:`scale_layout`.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width = width
        beat = beat_layout(signed(WORD_BITS), width)
        self.latency = (
            2  # squares
            + reduction_stages(width)
            + ceil_log2(TOTAL_BITS)
            + (ROOT_BITS + 1)
            + (QUOTIENT_BITS + 1)
            + 3  # multiplication
        )
        super().__init__(
            {
                "words": In(stream.Signature(beat)),
                "epsilon": In(SUM_BITS),
                "root_of_length": In(MULTIPLIER_BITS),
                "scale": Out(stream.Signature(scale_layout())),
            }
        )

    def elaborate(self, platform):
        """Sum of squares; its top bits; their root; its reciprocal; times the length's root."""
        m = Module()
        tags = delay(m, self.words, 2)
        m.d.comb += self.words.ready.eq(~self._busy(m, tags[0]))
        total = Signal(TOTAL_BITS)
        summed = reduce(m, self._squares(m), tags[2], add, total, start=self.epsilon)

        m.submodules.normalizer = normalizer = Normalizer(TOTAL_BITS)
        m.submodules.root = root = SquareRoot(root_bits=ROOT_BITS)
        m.submodules.divider = divider = Divider(
            dividend_bits=TOP_BITS, divisor_bits=ROOT_BITS, quotient_bits=QUOTIENT_BITS
        )
        found, zeros = normalizer.normalized, normalizer.normalized.p.zeros
        m.d.comb += [
            normalizer.number.payload.eq(total),
            normalizer.number.valid.eq(summed),
            # The power of two that is removed is even.
            root.number.payload.eq((found.p.value >> zeros[0])[-TOP_BITS:]),
            root.number.valid.eq(found.valid),
            divider.operands.p.dividend.eq(1 << 31),
            divider.operands.p.divisor.eq(root.root.payload),
            divider.operands.valid.eq(root.root.valid),
            root.root.ready.eq(divider.operands.ready),
            divider.quotient.ready.eq(1),
        ]
        with m.If(found.valid):
            m.d.sync += self.scale.p.exponent.eq(TOP_BITS // 2 - zeros[1:])
        self._multiply(m, divider.quotient)
        return m

    def _busy(self, m, tag):
        """Tell whether a residual is complete and its scale not yet taken."""
        busy = Signal()
        with m.If(tag.valid & tag.last):
            m.d.sync += busy.eq(1)
        with m.Elif(self.scale.valid & self.scale.ready):
            m.d.sync += busy.eq(0)
        return busy

    def _squares(self, m):
        """Square words by parts, in 2 cycles; what stands behind a beat's count gives 0."""
        beat = self.words.p
        squares = []
        for i in range(self.width):
            word = beat.elements[i]
            low, high = word[:PART_BITS], word[PART_BITS:WORD_BITS].as_signed()
            counts = Signal(name=f"counts_{i}")
            lows = Signal(2 * PART_BITS, name=f"lows_{i}", reset_less=True)
            highs = Signal(2 * _HIGH, name=f"highs_{i}", reset_less=True)
            mixed = Signal(signed(WORD_BITS), name=f"mixed_{i}", reset_less=True)
            square = Signal(2 * WORD_BITS - 1, name=f"square_{i}", reset_less=True)
            m.d.sync += [
                lows.eq(low * low),
                highs.eq(_SQUARES[high.as_unsigned()]),
                mixed.eq(high * low),
                counts.eq(beat.count > i),
                square.eq(Mux(counts, Cat(lows, highs) + (mixed << PART_BITS + 1), 0)),
            ]
            squares.append(square)
        return squares

    def _multiply(self, m, quotient):
        """R, offered until it is taken."""
        product = Signal(2 * MULTIPLIER_BITS, reset_less=True)
        bounded, multiplied = Signal(name="bounded"), Signal()
        reciprocal = Signal(MULTIPLIER_BITS, reset_less=True)
        m.d.sync += [
            reciprocal.eq(Mux(quotient.payload[-1], MULTIPLIER_MAX, quotient.payload)),
            product.eq(reciprocal * self.root_of_length),
            bounded.eq(quotient.valid),
            multiplied.eq(bounded),
        ]
        with m.If(multiplied):
            m.d.sync += [
                self.scale.p.multiplier.eq((product + (1 << 15)) >> 16),
                self.scale.valid.eq(1),
            ]
        with m.Elif(self.scale.ready):
            m.d.sync += self.scale.valid.eq(0)
