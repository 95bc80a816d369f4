"""Scale of a block from the sum and the largest of its magnitudes (``docs/arithmetic.md`` §3)."""

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode import block_sums
from hw.encode.block_sums import TOTAL_BITS, sums_layout
from hw.encode.normalizer import Normalizer
from hw.spec import scales

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
    return scales.scale_index(*block_sums.model(values), constant)


class BlockScale(wiring.Component):
    """Finds the scales of blocks from their sums, one block a cycle, in 9 cycles.

    Members
    -------
    sums : In(stream)
        See :func:`hw.encode.block_sums.sums_layout`; always ready.
    constant : In(12)
        The tensor's scale constant, stable until the last index has left.
    index : Out(stream)
        Scale index of each block; must always be accepted.
    """

    sums: In(stream.Signature(sums_layout(), always_ready=True))
    constant: In(scales.CONSTANT_BITS)
    index: Out(stream.Signature(range(len(scales.GRID)), always_ready=True))

    def elaborate(self, platform):
        """Partial products; product; normalization; two candidates; the greater."""
        m = Module()

        m.submodules.product = product = Normalizer(PRODUCT_BITS)
        m.submodules.peak = peak = Normalizer(PRODUCT_BITS)
        half = TOTAL_BITS // 2
        total, largest, arrived = self.sums.p.total, Signal.like(self.sums.p.largest), Signal()
        low, high = (
            Signal(half + len(self.constant), name=name, reset_less=True)
            for name in ("low", "high")
        )
        m.d.sync += [
            low.eq(total[:half] * self.constant),
            high.eq(total[half:] * self.constant),
            largest.eq(self.sums.p.largest),
            arrived.eq(self.sums.valid),
            product.number.payload.eq(low + (high << half)),
            product.number.valid.eq(arrived),
            peak.number.payload.eq(largest << PEAK_BITS),
            peak.number.valid.eq(arrived),
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
