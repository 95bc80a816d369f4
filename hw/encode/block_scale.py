"""Scale of a block from the sum and the largest of its magnitudes (``docs/arithmetic.md`` §3)."""

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.normalizer import Normalizer
from hw.spec import scales
from hw.spec.codes import BLOCK

INPUT_BITS = scales.INPUT_MAX.bit_length()
TOTAL_BITS = (BLOCK * scales.INPUT_MAX).bit_length()
PRODUCT_BITS = TOTAL_BITS + scales.CONSTANT_BITS

#: Bits to which a block's largest magnitude is normalized.
PEAK_BITS = 16

#: A normalized largest magnitude needs a scale one index higher above each limit.
LIMITS = tuple(scales.LARGEST_CODE * s for s in (5 << 6, 6 << 6, 7 << 6, 4 << 7))

#: A largest magnitude of fewer bits fits even the least scale.
LEAST_BITS = 6

#: Top bit of the product from which on a scale above the least is wanted.
LEAST_TOP = scales.CONSTANT_FRACTION + 2


def model(values: Sequence[int], constant: int) -> int:
    """Scale index of one block.

    Parameters
    ----------
    values : sequence of int
        1 to 32 elements, -32767..32767.
    constant : int
        The tensor's scale constant, 12 bits.

    Returns
    -------
    int
        Index 0..63 into ``scales.GRID``.
    """
    magnitudes = [abs(value) for value in values]
    return scales.scale_index(sum(magnitudes), max(magnitudes), constant)


def element_layout() -> data.StructLayout:
    """One element of a vector; ``last`` marks the end of its block."""
    return data.StructLayout({"value": signed(16), "last": 1})


class BlockScale(wiring.Component):
    """Finds the scale of every block of a stream of elements.

    One element a cycle, blocks of any length without a pause between them. The index of a block
    leaves 10 cycles after its last element entered.

    Members
    -------
    elements : In(stream)
        Elements, -32767..32767; always ready.
    constant : In(12)
        The tensor's scale constant, stable until the last index has left.
    index : Out(stream)
        Scale index of each block; must always be accepted.
    """

    elements: In(stream.Signature(element_layout(), always_ready=True))
    constant: In(scales.CONSTANT_BITS)
    index: Out(stream.Signature(range(len(scales.GRID)), always_ready=True))

    def elaborate(self, platform):
        """Sum and maximum; product; normalization; two candidates; the greater."""
        m = Module()

        magnitude = Signal(INPUT_BITS)
        arrived = Signal()
        ends = Signal()
        m.d.sync += [
            magnitude.eq(abs(self.elements.p.value)),
            arrived.eq(self.elements.valid),
            ends.eq(self.elements.p.last),
        ]

        total = Signal(TOTAL_BITS)
        largest = Signal(INPUT_BITS)
        starts = Signal(init=1)
        complete = Signal()
        m.d.sync += complete.eq(arrived & ends)
        with m.If(arrived):
            previous_total = Mux(starts, 0, total)
            previous_largest = Mux(starts, 0, largest)
            m.d.sync += [
                starts.eq(ends),
                total.eq(previous_total + magnitude),
                largest.eq(Mux(magnitude > previous_largest, magnitude, previous_largest)),
            ]

        m.submodules.product = product = Normalizer(PRODUCT_BITS)
        m.submodules.peak = peak = Normalizer(PRODUCT_BITS)
        m.d.sync += [
            product.number.payload.eq(total * self.constant),
            product.number.valid.eq(complete),
            peak.number.payload.eq(largest << PEAK_BITS),
            peak.number.valid.eq(complete),
        ]

        top = Signal(range(PRODUCT_BITS))
        mantissa = Signal(range(8 + 1))
        peak_value = Signal(PEAK_BITS)
        peak_zeros = peak.normalized.p.zeros
        wanted = Signal(range(4 * (PRODUCT_BITS - LEAST_TOP) + 1))
        holds = Signal(range(len(scales.GRID)))
        chosen = Signal()
        m.d.comb += [
            top.eq(PRODUCT_BITS - 1 - product.normalized.p.zeros),
            mantissa.eq((product.normalized.p.value[-4:] + 1) >> 1),
            peak_value.eq(peak.normalized.p.value[-PEAK_BITS:]),
        ]
        m.d.sync += [
            wanted.eq(Mux(top < LEAST_TOP, 0, 4 * (top - LEAST_TOP) + mantissa - 4)),
            holds.eq(4 * (PEAK_BITS - LEAST_BITS - peak_zeros) + 1 + _count(peak_value, LIMITS)),
            chosen.eq(product.normalized.valid),
        ]
        with m.If(peak_zeros > PEAK_BITS - LEAST_BITS):
            m.d.sync += holds.eq(0)

        greater = Mux(wanted > holds, wanted, holds)
        m.d.sync += [
            self.index.payload.eq(Mux(greater >= len(scales.GRID), len(scales.GRID) - 1, greater)),
            self.index.valid.eq(chosen),
        ]
        return m


def _count(value, limits: Sequence[int]):
    """Return how many limits the value exceeds."""
    return sum((value > limit for limit in limits), start=Const(0))
