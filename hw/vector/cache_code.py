"""Codes of a head of keys or values in the cache (``docs/arithmetic.md`` §8)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec.luts import CACHE_RECIPROCAL
from hw.vector.beat import WORD_BITS
from hw.vector.cache_scale import (
    LARGEST_CODE,
    LEAST_MANTISSA,
    NORMAL_BITS,
    Scale,
    scale_layout,
)
from hw.vector.multiplier import Multiplier
from hw.vector.word import shift

#: Fraction bits of the reciprocals.
_FRACTION = 21

#: Bits of the distance that the second of the two shifters takes.
_FINE = 3

#: Signed bits of a code.
CODE_BITS = 8

#: Cycles from a word to its code.
LATENCY = 7


def model(words: Sequence[int], scale: Scale) -> list[int]:
    """Codes -127..127 of a head of this scale."""
    reciprocal = CACHE_RECIPROCAL[scale.mantissa - LEAST_MANTISSA]
    codes = []
    for word in words:
        normal = (abs(word) << NORMAL_BITS) >> scale.bits
        code = min(LARGEST_CODE, shift(normal * reciprocal, _FRACTION + scale.halved))
        codes.append(-code if word < 0 else code)
    return codes


class CacheCode(wiring.Component):
    """Second of the two passes over a head that is kept, a word a cycle.

    Before it stands :class:`hw.vector.cache_scale.CacheScale`.

    Members
    -------
    words : In(stream)
        Words; always ready.
    scale : In
        See :func:`hw.vector.cache_scale.scale_layout`; stable from the head's first word until its
        last code.
    codes : Out(stream)
        Codes, ``LATENCY`` cycles later; must always be accepted.
    """

    def __init__(self):
        super().__init__(
            {
                "words": In(stream.Signature(signed(WORD_BITS), always_ready=True)),
                "scale": In(scale_layout()),
                "codes": Out(stream.Signature(signed(CODE_BITS), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Magnitude; coarse and fine shift; product; last shift; rounding and saturation; sign."""
        m = Module()
        valid, negative = Signal(LATENCY), Signal(LATENCY - 1)
        m.d.sync += [
            valid.eq(Cat(self.words.valid, valid)),
            negative.eq(Cat(self.words.payload < 0, negative)),
        ]

        # No magnitude is above the largest, by whose bits all are shifted: none above N are lost.
        bits = self.scale.bits
        magnitude = Signal(WORD_BITS, reset_less=True)
        coarse = Signal(NORMAL_BITS + (1 << _FINE) - 1, reset_less=True)
        normal = Signal(NORMAL_BITS, reset_less=True)
        m.d.sync += [
            magnitude.eq(abs(self.words.payload)),
            coarse.eq((magnitude << NORMAL_BITS) >> (bits[_FINE:] << _FINE)),
            normal.eq(coarse >> bits[:_FINE]),
        ]

        reciprocal = Signal(range(max(CACHE_RECIPROCAL) + 1), reset_less=True)
        place = (self.scale.mantissa - LEAST_MANTISSA)[: (len(CACHE_RECIPROCAL) - 1).bit_length()]
        m.d.sync += reciprocal.eq(Array(CACHE_RECIPROCAL)[place])
        m.submodules.multiplier = multiplier = Multiplier(a=normal.shape(), b=reciprocal.shape())
        m.d.comb += [multiplier.a.eq(normal), multiplier.b.eq(reciprocal)]

        halves = multiplier.product >> (_FRACTION - 1)
        shifted = Signal.like(halves, name="shifted", reset_less=True)  # from far
        m.d.sync += shifted.eq(Mux(self.scale.halved, halves[1:], halves))
        rounded = shifted + 1 >> 1
        code = Signal(range(LARGEST_CODE + 1), reset_less=True)
        m.d.sync += [
            code.eq(Mux(rounded > LARGEST_CODE, LARGEST_CODE, rounded)),
            self.codes.payload.eq(Mux(negative[-1], -code, code)),
        ]
        m.d.comb += self.codes.valid.eq(valid[-1])
        return m
