"""Sum and largest of the magnitudes of every block, found while a vector is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.encode.input_buffer import input_signature
from hw.memory import NO_COLLISIONS
from hw.spec import scales
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.vector.reduction import greater

MAGNITUDE_BITS = scales.INPUT_MAX.bit_length()
TOTAL_BITS = (BLOCK * scales.INPUT_MAX).bit_length()


def model(block: Sequence[int]) -> tuple[int, int]:
    """Sum and largest magnitude of 1 to 32 elements, -32767..32767."""
    magnitudes = [abs(value) for value in block]
    return sum(magnitudes), max(magnitudes)


def sums_layout() -> data.StructLayout:
    """Return what :func:`model` gives: ``total`` and ``largest``."""
    return data.StructLayout({"total": TOTAL_BITS, "largest": MAGNITUDE_BITS})


class BlockSums(wiring.Component):
    """Listens to the writes of a vector and keeps what the scales of its blocks need.

    The elements of a block come in order and begin with its first; what has come until then is
    what counts. So blocks may be written anew, and a vector may end anywhere in its last block.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    input : In
        See :func:`hw.encode.input_buffer.input_signature`. Elements are -32767..32767.
    block : In
        Number of a block.
    sums : Out(struct)
        What was found in it, one cycle later and at the earliest 4 cycles after its last write, and
        one more for each doubling of the elements that are written at once; see
        :func:`sums_layout`.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "input": In(input_signature(params)),
                "block": In(ceil_log2(params.max_blocks)),
                "sums": Out(sums_layout()),
            }
        )

    def elaborate(self, platform):
        """Magnitudes; those of a beat together; sum and maximum; memory."""
        m = Module()
        m.submodules.kept = kept = Memory(
            shape=sums_layout(), depth=self.params.max_blocks, init=[], attrs=NO_COLLISIONS
        )
        write, read = kept.write_port(), kept.read_port()

        width = self.params.input_width
        magnitudes = [Signal(MAGNITUDE_BITS, name=f"magnitude_{i}") for i in range(width)]
        beat, block, begins, arrived = self._together(m, magnitudes)
        summed = Signal()
        m.d.sync += [
            *(
                magnitude.eq(Mux(self.input.en[i], abs(self.input.data[i]), 0))
                for i, magnitude in enumerate(magnitudes)
            ),
            summed.eq(arrived),
            write.addr.eq(block),
        ]

        sums, grown = Signal(sums_layout()), Signal(sums_layout())
        total, largest = Mux(begins, 0, sums.total), Mux(begins, 0, sums.largest)
        m.d.comb += [
            grown.total.eq(total + beat.total),
            grown.largest.eq(greater(beat.largest, largest)),
        ]
        with m.If(arrived):
            m.d.sync += sums.eq(grown)
        m.d.comb += [
            write.data.eq(sums),
            write.en.eq(summed),
            read.addr.eq(self.block),
            self.sums.eq(read.data),
        ]
        return m

    def _together(self, m, magnitudes):
        """Sum and largest of a beat, its block, whether that begins with it, and whether it is."""
        width = len(magnitudes)
        tag = data.StructLayout({"block": range(self.params.max_blocks), "begins": 1, "arrived": 1})
        tags = [Signal(tag, name=f"tag_{stage}") for stage in range(1 + ceil_log2(width))]
        first = self.input.address % BLOCK < width
        m.d.sync += [
            tags[0].block.eq(self.input.address // BLOCK),
            tags[0].begins.eq(first & self.input.en[0]),
            tags[0].arrived.eq(self.input.en.any()),
            *(after.eq(before) for before, after in zip(tags, tags[1:], strict=False)),
        ]
        beat = Signal(sums_layout())
        m.d.comb += [
            beat.total.eq(_tree(m, add, magnitudes)),
            beat.largest.eq(_tree(m, greater, magnitudes)),
        ]
        return beat, tags[-1].block, tags[-1].begins, tags[-1].arrived


def _tree(m, combine, terms):
    """Combine terms in pairs, and these in pairs, a cycle each."""
    while len(terms) > 1:
        values = [reduce(combine, terms[i : i + 2]) for i in range(0, len(terms), 2)]
        terms = [Signal.like(value, name="combined") for value in values]
        m.d.sync += [term.eq(value) for term, value in zip(terms, values, strict=True)]
    return terms[0]
