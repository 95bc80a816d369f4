"""Divides elements by the scale of their block (``docs/arithmetic.md`` §2)."""

from amaranth.hdl import Array, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.spec import scales
from hw.spec.codes import BLOCK, QUOTIENT_FRACTION

NUMERATOR_BITS = 13
QUOTIENT_BITS = NUMERATOR_BITS - 2
FRACTION = QUOTIENT_FRACTION + scales.SCALE_FRACTION

#: ``n // m`` of a numerator is ``n * RECIPROCALS[m - 4] >> RECIPROCAL_SHIFT``, exactly.
RECIPROCAL_SHIFT = 16
RECIPROCALS = tuple(-(-(1 << RECIPROCAL_SHIFT) // mantissa) for mantissa in (4, 5, 6, 7))

#: Index of the scale by which one input unit is one code.
UNIT_SCALE = scales.GRID.index(1 << scales.SCALE_FRACTION)


def model(value: int, scale_index: int) -> tuple[int, bool]:
    """Quotient of one element.

    Parameters
    ----------
    value : int
        Element, -32767..32767.
    scale_index : int
        Scale of its block, an index into ``scales.GRID`` that §3 allows for the element.

    Returns
    -------
    quotient : int
        Magnitude in 1/8 of the scale.
    negative : bool
        True if the element is below zero.
    """
    return (abs(value) << FRACTION) // scales.GRID[scale_index], value < 0


def place_layout() -> data.StructLayout:
    """Return what travels with an element.

    Members
    -------
    row : unsigned(5)
        Its place in the block.
    last : unsigned(1)
        It ends the block.
    mantissa : unsigned(2)
        Mantissa of the block's scale, minus 4.
    shift : unsigned(4)
        Exponent of the block's relative scale, 0..8.
    """
    return data.StructLayout({"row": range(BLOCK), "last": 1, "mantissa": 2, "shift": 4})


def scaled_layout() -> data.StructLayout:
    """One element, its place, and the absolute exponent of its block's scale."""
    return data.StructLayout({"value": signed(16), "exponent": 4, "place": place_layout()})


def quotient_layout() -> data.StructLayout:
    """Magnitude of one element in 1/8 of the scale, and its sign."""
    return data.StructLayout({"quotient": QUOTIENT_BITS, "negative": 1, "place": place_layout()})


class Quotient(wiring.Component):
    """Divides by block scales, one element a cycle, in 4 cycles.

    The division by a mantissa is an exact multiplication by its reciprocal.

    Members
    -------
    elements : In(stream)
        See :func:`scaled_layout`; always ready.
    quotients : Out(stream)
        See :func:`quotient_layout`; must always be accepted.
    """

    elements: In(stream.Signature(scaled_layout(), always_ready=True))
    quotients: Out(stream.Signature(quotient_layout(), always_ready=True))

    def elaborate(self, platform):
        """Magnitude; coarse shift; fine shift and reciprocal; product."""
        m = Module()
        tag_layout = data.StructLayout({"valid": 1, "negative": 1, "place": place_layout()})
        tags = [Signal(tag_layout, name=f"tag_{stage}") for stage in range(4)]
        m.d.sync += [
            tags[0].valid.eq(self.elements.valid),
            tags[0].negative.eq(self.elements.p.value < 0),
            tags[0].place.eq(self.elements.p.place),
            *(after.eq(before) for before, after in zip(tags, tags[1:], strict=False)),
        ]

        magnitude = Signal(range(scales.INPUT_MAX + 1))
        exponent = Signal(4)
        m.d.sync += [
            magnitude.eq(abs(self.elements.p.value)),
            exponent.eq(self.elements.p.exponent),
        ]

        # Below bit NUMERATOR_BITS + 3 nothing is lost by cutting: quotients are bounded (§2).
        coarse = Signal(NUMERATOR_BITS + 3)
        fine_exponent = Signal(2)
        m.d.sync += [
            coarse.eq((magnitude << FRACTION) >> (exponent & 0b1100)),
            fine_exponent.eq(exponent),
        ]

        numerator = Signal(NUMERATOR_BITS)
        reciprocal = Signal(range(max(RECIPROCALS) + 1))
        m.d.sync += [
            numerator.eq(coarse >> fine_exponent),
            reciprocal.eq(Array(RECIPROCALS)[tags[1].place.mantissa]),
        ]

        product = Signal(len(numerator) + len(reciprocal))
        m.d.sync += product.eq(numerator * reciprocal)
        m.d.comb += [
            self.quotients.valid.eq(tags[-1].valid),
            self.quotients.p.quotient.eq(product >> RECIPROCAL_SHIFT),
            self.quotients.p.negative.eq(tags[-1].negative),
            self.quotients.p.place.eq(tags[-1].place),
        ]
        return m
