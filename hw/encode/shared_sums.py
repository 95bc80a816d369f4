"""Gives neighbouring blocks one sum and one maximum, and so one scale (``docs/crossbar.md`` §1)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.block_sums import MAGNITUDE_BITS, TOTAL_BITS, sums_layout
from hw.vector.reduction import greater

#: Fraction bits of the reciprocals by which sums are divided exactly: 23 bits of a sum and 3 of a
#: divisor's remainder.
FRACTION = 26


def model(sums: Sequence[tuple[int, int]], shared: int) -> list[tuple[int, int]]:
    """Mean sum, rounded down, and largest maximum of each ``shared`` neighbours, for each of them.

    Parameters
    ----------
    sums : sequence of (int, int)
        Sum and largest magnitude of every block of a vector.
    shared : int
        Blocks that share a scale; the vector's last may be fewer.
    """
    found = []
    for first in range(0, len(sums), shared):
        totals, largest = zip(*sums[first : first + shared], strict=True)
        found += [(sum(totals) // len(totals), max(largest))] * len(totals)
    return found


class SharedSums(wiring.Component):
    """Collects neighbours, and then offers what they share once for each, one a cycle.

    :func:`hw.spec.encoder_cycles.shared_cycles` is the time until the last.

    Parameters
    ----------
    shared : int
        Blocks that share a scale, 2 to 8.

    Members
    -------
    sums : In(stream)
        Of each block; one a cycle without gaps from a vector's first block to its last; see
        :func:`hw.encode.block_sums.sums_layout`.
    last : In(1)
        Beside ``sums``: the vector's last block.
    means : Out(stream)
        What is shared, as often; must always be accepted.
    """

    def __init__(self, shared: int):
        if not 2 <= shared <= 8:
            raise ValueError(f"2 to 8 blocks may share a scale, not {shared}")
        self._shared = shared
        signature = stream.Signature(sums_layout(), always_ready=True)
        super().__init__({"sums": In(signature), "last": In(1), "means": Out(signature)})

    def elaborate(self, platform):
        """Add up and compare; multiply by a reciprocal; repeat."""
        m = Module()
        shared, sums = self._shared, self.sums.p
        kind = data.StructLayout(
            {"total": TOTAL_BITS + 3, "largest": MAGNITUDE_BITS, "count": range(shared + 1)}
        )
        running, grown, whole = (Signal(kind, name=name) for name in ("running", "grown", "whole"))
        complete, divided = Signal(), Signal()
        m.d.comb += [
            grown.total.eq(running.total + sums.total),
            grown.largest.eq(greater(running.largest, sums.largest)),
            grown.count.eq(running.count + 1),
            complete.eq(self.sums.valid & (self.last | (grown.count == shared))),
        ]
        with m.If(self.sums.valid):
            m.d.sync += running.eq(Mux(complete, 0, grown.as_value()))
        with m.If(complete):
            m.d.sync += whole.eq(grown)
        m.d.sync += divided.eq(complete)

        # Rounded up, a reciprocal gives the quotient rounded down: both errors are below 1/8.
        reciprocals = Array([0, *(-(-(1 << FRACTION) // n) for n in range(1, shared + 1))])
        mean, kept = Signal(kind), Signal(kind)
        waits = Signal()  # `mean` has not been taken over
        m.d.sync += waits.eq(divided | (waits & (kept.count > 1)))
        with m.If(divided):
            m.d.sync += [
                mean.total.eq((whole.total * reciprocals[whole.count]) >> FRACTION),
                mean.largest.eq(whole.largest),
                mean.count.eq(whole.count),
            ]
        with m.If(kept.count > 1):
            m.d.sync += kept.count.eq(kept.count - 1)
        with m.Elif(waits):
            m.d.sync += kept.eq(mean)
        with m.Else():
            m.d.sync += kept.count.eq(0)
        m.d.comb += [
            self.means.p.total.eq(kept.total),
            self.means.p.largest.eq(kept.largest),
            self.means.valid.eq(kept.count != 0),
        ]
        return m
