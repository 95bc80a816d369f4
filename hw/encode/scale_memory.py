"""Keeps the block scales of a vector, relative to its base exponent (``docs/arithmetic.md`` §3)."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.spec import scales
from hw.spec.params import CoreParams


def model(indices: Sequence[int]) -> tuple[int, list[tuple[int, int]]]:
    """Clamp the scales of a vector to its base exponent.

    Parameters
    ----------
    indices : sequence of int
        Scale index of every block, 0..63.

    Returns
    -------
    base : int
        Base exponent E, 0..7.
    clamped : list of (int, int)
        Mantissa minus 4 and exponent relative to ``base``, 0..8, of every block.
    """
    base = scales.base_exponent(list(indices))
    clamped = []
    for index in indices:
        scale = scales.clamp(index, base)
        shift = scale.bit_length() - 3
        clamped.append(((scale >> shift) - 4, shift))
    return base, clamped


class ScaleMemory(wiring.Component):
    """Scale memory of one vector, read a cycle after ``block`` is asked for.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    clear : In(1)
        Forgets the vector.
    index : In(stream)
        Scale index of each block, in order; always ready.
    received : Out
        Indices received since ``clear``.
    base : Out(4)
        Base exponent, 0 after ``clear``; complete when all indices have been received.
    block : In
        Number of a block.
    mantissa : Out(2)
        Mantissa of its scale, minus 4.
    shift : Out(4)
        Exponent of its scale relative to ``base``, 0..8.
    exponent : Out(4)
        Absolute exponent of its scale.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        indices = stream.Signature(range(len(scales.GRID)), always_ready=True)
        super().__init__(
            {
                "clear": In(1),
                "index": In(indices),
                "received": Out(range(params.max_blocks + 1)),
                "base": Out(4),
                "block": In(ceil_log2(params.max_blocks)),
                "mantissa": Out(2),
                "shift": Out(4),
                "exponent": Out(4),
            }
        )

    def elaborate(self, platform):
        """Keep the indices and the largest exponent; clamp what is read."""
        m = Module()
        m.submodules.indices = indices = Memory(
            shape=range(len(scales.GRID)), depth=self.params.max_blocks, init=[]
        )
        write, read = indices.write_port(), indices.read_port()
        m.d.comb += [
            write.addr.eq(self.received),
            write.data.eq(self.index.payload),
            write.en.eq(self.index.valid),
            read.addr.eq(self.block),
        ]

        base = self.base
        exponent = Signal(4)
        m.d.comb += exponent.eq(self.index.payload >> 2)
        with m.If(self.clear):
            m.d.sync += [self.received.eq(0), base.eq(0)]
        with m.Elif(self.index.valid):
            m.d.sync += self.received.eq(self.received + 1)
            with m.If(exponent > base + scales.EXPONENT_SPAN):
                m.d.sync += base.eq(exponent - scales.EXPONENT_SPAN)

        found_mantissa = Signal(2)
        found_exponent = Signal(4)
        m.d.comb += Cat(found_mantissa, found_exponent).eq(read.data)
        with m.If(found_exponent < base):
            m.d.comb += self.exponent.eq(base)
        with m.Else():
            m.d.comb += [
                self.mantissa.eq(found_mantissa),
                self.exponent.eq(found_exponent),
                self.shift.eq(found_exponent - base),
            ]
        return m
