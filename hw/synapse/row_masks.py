"""Rows of every block that external memory shall deliver: those that fire, and short holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.classifier import code_layout
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


class RowMask(NamedTuple):
    """Rows to fetch of one block, as a mask; how many of them fire, and how many do not."""

    fetched: int
    rows: int
    holes: int


def model(fires: Sequence[bool], hole: int) -> RowMask:
    """Fill holes shorter than ``hole`` before rows that fire; a scale beat stands before row 0."""
    fetched, gap = 0, 0
    for row, fired in enumerate(fires):
        if fired:
            run = gap if gap < hole else 0
            fetched |= (1 << run + 1) - 1 << row - run
        gap = 0 if fired else gap + 1
    return RowMask(fetched, sum(fires), fetched.bit_count() - sum(fires))


def mask_layout() -> data.StructLayout:
    """Members of :class:`RowMask`."""
    return data.StructLayout(
        {"fetched": BLOCK, "rows": range(BLOCK + 1), "holes": range(BLOCK + 1)}
    )


class RowMasks(wiring.Component):
    """Mask memory of vectors, filled while they are encoded, one code a cycle.

    A row fires if it does in any of them: the mask of a block is that of all vectors up to the one
    that is encoded last, and known when that one's is. Where ``batch`` is above 1 there are two
    banks of masks: one may be filled while the other is read.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    clear : In(1)
        A vector begins; no code may be on its way, of a batch neither in the next two cycles.
    joins : In(1)
        It joins those in its bank; stable until its last code.
    bank : In(1)
        Which one that is; as stable.
    filling : In(1)
        From the cycle after ``clear`` until its last code.
    classified : In(stream)
        See :func:`hw.encode.classifier.code_layout`; all rows in order; always ready.
    block, source : In, In(1)
        Number of a block, and its bank.
    known : Out(1)
        The mask of ``block``, as it was two cycles before, is there.
    mask : Out(struct)
        That mask; see :func:`mask_layout`.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        blocks = ceil_log2(params.max_blocks)
        self._depth = 2 << blocks if params.batch > 1 else params.max_blocks
        super().__init__(
            {
                **dict.fromkeys(("clear", "filling"), In(1)),
                **dict.fromkeys(("joins", "bank", "source"), In(1)),
                "classified": In(stream.Signature(code_layout(), always_ready=True)),
                "block": In(range(params.max_blocks)),
                "known": Out(1),
                "mask": Out(mask_layout()),
            }
        )

    def elaborate(self, platform):
        """Collect a block's rows, extending each downwards over the hole before it."""
        m = Module()
        params = self._params
        m.submodules.kept = kept = memory.Memory(shape=mask_layout(), depth=self._depth, init=[])
        write, read = kept.write_port(), kept.read_port()

        code, valid = self.classified.p, self.classified.valid
        collected, grown = Signal(mask_layout()), Signal(mask_layout())
        gap = Signal(range(params.hole + 1))  # stays at `hole` once it is reached
        fires, filled = Signal(), Signal(range(params.hole + 1))
        place = Signal(BLOCK)
        received = Signal(range(params.max_blocks + 1))
        fired = ~code.silent
        if params.batch > 1:
            fired |= self._join(m, received, place)
        m.d.comb += [
            fires.eq(fired),
            place.eq(Mux(fires, 1 << code.place.row, 0)),
            filled.eq(Mux(fires & (gap != params.hole), gap, 0)),
        ]
        below = place
        for k in range(1, params.hole):
            below = below | Mux(filled >= k, place >> k, 0)
        m.d.comb += [
            grown.fetched.eq(collected.fetched | below),
            grown.rows.eq(collected.rows + fires),
            grown.holes.eq(collected.holes + filled),
        ]
        with m.If(valid):
            m.d.sync += collected.eq(grown)
            with m.If(fires):
                m.d.sync += gap.eq(0)
            with m.Elif(gap != params.hole):
                m.d.sync += gap.eq(gap + 1)
            with m.If(code.place.last):
                m.d.sync += [collected.eq(0), gap.eq(0)]

        m.d.comb += [
            write.addr.eq(self._place(received, self.bank)),
            write.data.eq(grown),
            write.en.eq(valid & code.place.last),
            read.addr.eq(self._place(self.block, self.source)),
        ]
        other = (self.bank != self.source) if params.batch > 1 else Const(0)
        come = Signal()
        # A block RAM is too slow for logic behind it; hence a register at once.
        m.d.sync += [
            come.eq((received > self.block) | ~self.filling | other),
            self.known.eq(come),
            self.mask.eq(read.data),
        ]
        with m.If(self.clear):
            m.d.sync += [received.eq(0), collected.eq(0), gap.eq(0)]
            with m.If(~other):
                m.d.sync += [come.eq(0), self.known.eq(0)]
        with m.Elif(write.en):
            m.d.sync += received.eq(received + 1)
        return m

    def _place(self, block, bank):
        """Address of a block's mask."""
        number = block[: ceil_log2(self._params.max_blocks)]
        return Cat(number, bank) if self._params.batch > 1 else number

    def _join(self, m, block, place):
        """Keep the rows that fire in any vector; tell whether the one at hand did before."""
        m.submodules.joined = joined = memory.Memory(shape=BLOCK, depth=self._depth, init=[])
        write, read = joined.write_port(), joined.read_port()
        code = self.classified.p
        rows = Signal(BLOCK)
        before, begun = Signal(BLOCK), Signal(2)  # rows from the one at hand on; block 0 is read
        m.d.comb += [
            write.addr.eq(self._place(block, self.bank)),
            write.data.eq(rows | place),
            write.en.eq(self.classified.valid & code.place.last),
            read.addr.eq(self._place((block + begun[0])[: len(block)], self.bank)),
        ]
        m.d.sync += begun.eq(Mux(self.clear, 0, Cat(Const(1, 1), begun[0])))
        with m.If(write.en | ~begun[1]):  # the next block's were asked for long ago
            m.d.sync += before.eq(read.data)
        with m.Elif(self.classified.valid):
            m.d.sync += before.eq(before >> 1)
        with m.If(self.clear | write.en):
            m.d.sync += rows.eq(0)
        with m.Elif(self.classified.valid):
            m.d.sync += rows.eq(rows | place)
        return self.joins & before[0]
