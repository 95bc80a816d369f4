"""Scale of a head of keys or values in the cache (``docs/arithmetic.md`` §8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.division import divide
from hw.encode.normalizer import Normalizer
from hw.vector.beat import WIDTH, WORD_BITS, beat_layout, delay
from hw.vector.reduction import greater, reduce, reduction_stages
from hw.vector.weight import EXPONENT_BITS, MANTISSA_BITS

#: Largest code, and mantissa of a head of zeros.
LARGEST_CODE = 127
LEAST_MANTISSA = 64

#: Bits of a normalized magnitude N.
NORMAL_BITS = 14

#: Bits that the normalizer takes: a power of two.
_NORMALIZER_BITS = 32

#: Cycles from a head's last word to its scale, beside those of the reduction.
_LATENCY = 9


class Scale(NamedTuple):
    """Scale ``mantissa * 2^exponent``, and how codes are made by it.

    Attributes
    ----------
    mantissa, exponent : int
        m, 64..127, and e.
    bits : int
        p, bits of the largest magnitude.
    halved : int
        i: 1 if the mantissa found at first was above 127.
    """

    mantissa: int
    exponent: int
    bits: int
    halved: int


def model(words: Sequence[int]) -> Scale:
    """Scale of a head."""
    largest = max(map(abs, words))
    if largest == 0:
        return Scale(LEAST_MANTISSA, 0, 0, 0)
    bits = largest.bit_length()
    normal = (largest << NORMAL_BITS) >> bits
    mantissa = -(-(normal + (bits > NORMAL_BITS)) // LARGEST_CODE)
    halved = int(mantissa > LARGEST_CODE)
    return Scale(mantissa + halved >> halved, bits - NORMAL_BITS + halved, bits, halved)


def scale_layout() -> data.StructLayout:
    """Return the layout of a :class:`Scale`."""
    return data.StructLayout(
        {
            "mantissa": MANTISSA_BITS,
            "exponent": signed(EXPONENT_BITS),
            "bits": range(WORD_BITS + 1),
            "halved": 1,
        }
    )


class CacheScale(wiring.Component):
    """First of the two passes over a head that is kept, a beat a cycle.

    Behind it stands :class:`hw.vector.cache_code.CacheCode`.

    Parameters
    ----------
    width : int
        Words a cycle, at least 1.

    Attributes
    ----------
    latency : int
        Cycles from a head's last beat to its scale.

    Members
    -------
    words : In(stream)
        Heads, one behind the other: see :func:`hw.vector.beat.beat_layout`; always ready.
    scale : Out(stream)
        Scale of each head; must always be accepted. The payload stays until the next.
    """

    def __init__(self, *, width: int = WIDTH):
        self.width, self.latency = width, _LATENCY + reduction_stages(width)
        words = beat_layout(signed(WORD_BITS), width)
        super().__init__(
            {
                "words": In(stream.Signature(words, always_ready=True)),
                "scale": Out(stream.Signature(scale_layout(), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Magnitude; maximum; leading zeros; rounding up; division by 127; halving."""
        m = Module()
        magnitudes, largest = [], Signal(WORD_BITS)
        for i, word in enumerate(self.words.p.elements):
            magnitudes.append(Signal(WORD_BITS, name=f"magnitude_{i}", reset_less=True))
            m.d.sync += magnitudes[i].eq(Mux(self.words.p.count > i, abs(word), 0))
        done = reduce(m, magnitudes, delay(m, self.words, 1)[-1], greater, largest)

        m.submodules.normalizer = normalizer = Normalizer(_NORMALIZER_BITS)
        found = normalizer.normalized
        m.d.comb += [normalizer.number.payload.eq(largest), normalizer.number.valid.eq(done)]

        # Bits are cut off from magnitudes longer than N: the scale is that of what is above.
        bits = Signal.like(self.scale.p.bits)
        dividend = Signal(range((1 << NORMAL_BITS) + LARGEST_CODE), reset_less=True)
        m.d.comb += bits.eq(_NORMALIZER_BITS - found.p.zeros)
        rounding = Mux(bits > NORMAL_BITS, LARGEST_CODE, LARGEST_CODE - 1)
        m.d.sync += dividend.eq(found.p.value[-NORMAL_BITS:] + rounding)

        mantissa = Signal(range((1 << NORMAL_BITS) // LARGEST_CODE + 2), reset_less=True)
        quotient, _ = divide(dividend, LARGEST_CODE)
        m.d.sync += mantissa.eq(quotient)

        tag = data.StructLayout({"valid": 1, "zero": 1, "bits": bits.shape()})
        tags = [Signal(tag, name=f"found_{stage}") for stage in range(3)]
        m.d.comb += [
            tags[0].valid.eq(found.valid),
            tags[0].zero.eq(~found.p.value[-1]),
            tags[0].bits.eq(bits),
        ]
        m.d.sync += [after.eq(before) for before, after in zip(tags, tags[1:], strict=False)]

        scale, halved = self.scale.p, mantissa > LARGEST_CODE
        m.d.sync += self.scale.valid.eq(tags[-1].valid)
        with m.If(tags[-1].valid & tags[-1].zero):
            m.d.sync += scale.eq(Const(Scale(LEAST_MANTISSA, 0, 0, 0)._asdict(), scale_layout()))
        with m.Elif(tags[-1].valid):
            m.d.sync += [
                scale.mantissa.eq(mantissa + halved >> halved),
                scale.exponent.eq(tags[-1].bits - NORMAL_BITS + halved),
                scale.bits.eq(tags[-1].bits),
                scale.halved.eq(halved),
            ]
        return m
