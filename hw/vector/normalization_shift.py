"""Shift that normalizes a vector (``docs/arithmetic.md`` §6), from a first pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import or_

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.normalizer import Normalizer
from hw.vector.beat import WIDTH, beat_layout, delay
from hw.vector.reduction import reduce, reduction_stages

#: Bits of the largest magnitude of a normalized vector.
MAGNITUDE_BITS = 15

#: Signed bits of an element: what the gate gives is the longest (§10).
ELEMENT_BITS = 47
LONGEST_ELEMENT = 62

#: Signed bits of the shift.
SHIFT_BITS = 7


def model(values: Sequence[int]) -> int:
    """Shift n of a vector; 0 if all its elements are."""
    largest = max(map(abs, values))
    return largest.bit_length() - MAGNITUDE_BITS if largest else 0


def check_element_bits(element_bits: int) -> None:
    """Raise a ValueError unless the shift of such elements is representable."""
    if not 2 <= element_bits <= LONGEST_ELEMENT:
        raise ValueError(
            f"element_bits must be 2..{LONGEST_ELEMENT}, not {element_bits}; "
            f"{ELEMENT_BITS} hold every vector of a layer"
        )


class NormalizationShift(wiring.Component):
    """First of the two passes over a vector that enters a matrix.

    Before it stand the products of residual and gamma, the context, the output of the gate or a
    head of the query, on their way into a buffer; behind it :class:`hw.vector.normalize.Normalize`,
    which reads that buffer.

    Parameters
    ----------
    width : int
        Elements a cycle, at least 1.
    element_bits : int
        Signed bits of an element, 2..62.

    Attributes
    ----------
    latency : int
        Cycles from a vector's last beat to its shift.

    Members
    -------
    elements : In(stream)
        Vectors, one behind the other; see :func:`hw.vector.beat.beat_layout`; always ready.
    shift : Out(stream)
        Shift n of each vector; must always be accepted.
    """

    def __init__(self, *, width: int = WIDTH, element_bits: int = ELEMENT_BITS):
        check_element_bits(element_bits)
        self.width, self.element_bits = width, element_bits
        self.latency = 2 + reduction_stages(width) + ceil_log2(element_bits)
        beat = beat_layout(signed(element_bits), width)
        super().__init__(
            {
                "elements": In(stream.Signature(beat, always_ready=True)),
                "shift": Out(stream.Signature(signed(SHIFT_BITS), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        """Magnitudes; their union, which has the bits of the largest; leading zeros; shift."""
        m = Module()
        beat = self.elements.p
        tags = delay(m, self.elements, 1)
        magnitudes = [
            Signal(self.element_bits, name=f"magnitude_{i}", reset_less=True)
            for i in range(self.width)
        ]
        m.d.sync += [
            magnitude.eq(Mux(beat.count > i, abs(beat.elements[i]), 0))
            for i, magnitude in enumerate(magnitudes)
        ]
        union = Signal(self.element_bits)
        done = reduce(m, magnitudes, tags[1], or_, union)

        bits = 1 << ceil_log2(self.element_bits)
        m.submodules.normalizer = normalizer = Normalizer(bits)
        found = normalizer.normalized
        m.d.comb += [normalizer.number.payload.eq(union), normalizer.number.valid.eq(done)]
        m.d.sync += [
            self.shift.valid.eq(found.valid),
            self.shift.payload.eq(Mux(found.p.value[-1], bits - MAGNITUDE_BITS - found.p.zeros, 0)),
        ]
        return m
