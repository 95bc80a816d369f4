"""Sum and largest of the magnitudes of every block, found while a vector is written."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.memory import NO_COLLISIONS
from hw.spec import scales
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams

MAGNITUDE_BITS = scales.INPUT_MAX.bit_length()
TOTAL_BITS = (BLOCK * scales.INPUT_MAX).bit_length()


def model(block: Sequence[int]) -> tuple[int, int]:
    """Sum and largest magnitude of 1 to 32 elements, -32767..32767."""
    magnitudes = [abs(value) for value in block]
    return sum(magnitudes), max(magnitudes)


def sums_layout() -> data.StructLayout:
    """Return what :func:`model` gives: ``total`` and ``largest``."""
    return data.StructLayout({"total": TOTAL_BITS, "largest": MAGNITUDE_BITS})


def input_signature(params: CoreParams) -> wiring.Signature:
    """Write port of the input buffer, one element a cycle."""
    return wiring.Signature(
        {"en": Out(1), "address": Out(ceil_log2(params.max_inputs)), "data": Out(signed(16))}
    )


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
        See :func:`input_signature`. Elements are -32767..32767.
    block : In
        Number of a block.
    sums : Out(struct)
        What was found in it, one cycle later and at the earliest 4 cycles after its last write;
        see :func:`sums_layout`.
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
        """Magnitude; sum and maximum; memory."""
        m = Module()
        m.submodules.kept = kept = Memory(
            shape=sums_layout(), depth=self.params.max_blocks, init=[], attrs=NO_COLLISIONS
        )
        write, read = kept.write_port(), kept.read_port()

        magnitude = Signal(MAGNITUDE_BITS)
        address = Signal.like(self.input.address)
        arrived, summed = Signal(), Signal()
        m.d.sync += [
            magnitude.eq(abs(self.input.data)),
            address.eq(self.input.address),
            arrived.eq(self.input.en),
            summed.eq(arrived),
            write.addr.eq(address // BLOCK),
        ]

        sums, grown = Signal(sums_layout()), Signal(sums_layout())
        begins = address % BLOCK == 0
        total, largest = Mux(begins, 0, sums.total), Mux(begins, 0, sums.largest)
        m.d.comb += [
            grown.total.eq(total + magnitude),
            grown.largest.eq(Mux(magnitude > largest, magnitude, largest)),
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
