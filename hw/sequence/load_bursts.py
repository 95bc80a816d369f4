"""Bursts of a LOAD (``docs/program.md``): the numbers' addresses as few, short bus transfers."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.encode.slice import Slice
from hw.register import plain_register
from hw.sequence.layout import instruction_layout
from hw.spec.axi4 import LOAD_BEATS, LOAD_BYTES
from hw.spec.params import CoreParams


def block_beats(params: CoreParams) -> int:
    """Beats of the aligned block that a burst stays within: its most beats."""
    return min(LOAD_BEATS, LOAD_BYTES * 8 // params.axi_data_width)


def place_layout(params: CoreParams) -> data.StructLayout:
    """Place of the first byte in a burst's first beat, and of the last byte in its last beat."""
    place = range(params.axi_data_width // 8)
    return data.StructLayout({"first": place, "last": place})


class LoadBursts(wiring.Component):
    """Makes a burst a cycle.

    Numbers that follow each other without a gap, up to ``inner``, are a run, and all others runs of
    one. A run is a burst in each block of :func:`block_beats` that it touches. ``inner`` 0 is taken
    for 65,536.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Members
    -------
    start : In(1)
        Begin; pulses, not while bursts are still due.
    instruction : In
        The LOAD, see :func:`hw.sequence.layout.instruction_layout`.
    count : In(16)
        Numbers, at least 1.
    origin : In(32)
        Byte address of the first; of numbers of two bytes, all addresses are even.
    bursts : Out(stream)
        Byte ``address`` of the first beat, ``length`` (the beats behind it), and ``place``; see
        :func:`place_layout`.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        burst = data.StructLayout(
            {"address": 32, "length": range(block_beats(params)), "place": place_layout(params)}
        )
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "count": In(16),
                "origin": In(32),
                "bursts": Out(stream.Signature(burst)),
            }
        )

    def elaborate(self, platform):
        """Find runs, and behind a register their bursts, which leave behind another."""
        m = Module()
        m.submodules.between = between = Slice(data.StructLayout({"address": 32, "rest": 17}))
        self._find_runs(m, between.source)
        self._cut(m, between.target)
        return m

    def _find_runs(self, m, runs):
        """Step through addresses; numbers are counted without the one that is next."""
        operands = self.instruction
        active, begun, wide = Signal(), Signal(), Signal()
        # Of the next run; of the operands' run it is in.
        address, base = (Signal(32, name=name, reset_less=True) for name in ("address", "base"))
        rest, rest_inner, whole, whole_rest, turn = (
            Signal(16, name=name, reset_less=True)
            for name in ("rest", "rest_inner", "whole", "whole_rest", "turn")
        )
        run = plain_register(m, runs.p)
        joined = operands.inner.any() & (operands.inner_stride == operands.size)
        following = base + operands.outer_stride
        difference = Signal(17)
        m.d.comb += difference.eq(rest - whole)
        ends = difference[-1]

        with m.If(runs.ready):
            m.d.sync += runs.valid.eq(0)
        with m.If(active & begun & (runs.ready | ~runs.valid)):
            length = Mux(ends, rest, whole_rest)
            m.d.sync += [
                runs.valid.eq(1),
                run.address.eq(address),
                run.rest.eq(Mux(wide, Cat(1, length), length)),
                rest.eq(difference),
                rest_inner.eq(rest_inner - 1),
                address.eq(address + operands.inner_stride),
                active.eq(~ends),
            ]
            with m.If(rest_inner == 0):
                m.d.sync += [base.eq(following), address.eq(following), rest_inner.eq(turn)]
        with m.If(active & ~begun):
            m.d.sync += [begun.eq(1), rest_inner.eq(turn)]
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                begun.eq(0),
                wide.eq(operands.size == 2),
                base.eq(self.origin),
                address.eq(self.origin),
                rest.eq(self.count - 1),
                whole.eq(Mux(joined, operands.inner, 1)),
                whole_rest.eq(Mux(joined, operands.inner - 1, 0)),
                turn.eq(Mux(joined, 0, operands.inner - 1)),
            ]

    def _cut(self, m, runs):
        """Cut a run at the ends of blocks; first and last byte are counted in the block."""
        bursts = self.bursts
        low = exact_log2(self._params.axi_data_width // 8)
        top = low + exact_log2(block_beats(self._params))
        block, first, last = (
            Signal(bits, name=name, reset_less=True)
            for name, bits in (("block", 32 - top), ("first", top), ("last", 18))
        )
        burst = plain_register(m, bursts.p)
        within, place = Signal(top), burst.place
        held, full, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            full.eq(last[top:].any()),
            within.eq(Mux(full, -1, last)),
            moves.eq(held & (bursts.ready | ~bursts.valid)),
            runs.ready.eq(~held | (moves & ~full)),
        ]
        with m.If(bursts.ready):
            m.d.sync += bursts.valid.eq(0)
        with m.If(moves):
            m.d.sync += [
                bursts.valid.eq(1),
                burst.address.eq(Cat(first, block)[low:] << low),
                burst.length.eq(within[low:] - first[low:]),
                place.first.eq(first),
                place.last.eq(within),
                block.eq(block + 1),
                first.eq(0),
                last[top:].eq(last[top:] - 1),
                held.eq(full),
            ]
        with m.If(runs.valid & runs.ready):
            m.d.sync += [
                held.eq(1),
                Cat(first, block).eq(runs.p.address),
                last.eq(runs.p.address[:top] + runs.p.rest),
            ]
