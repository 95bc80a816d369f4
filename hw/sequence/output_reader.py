"""Hands the outputs of a matrix on while its later tiles are still computed."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.integrate.output_buffer import READ_LATENCY
from hw.spec.params import CoreParams

#: Accumulators that may wait: those on their way, and as many again so that none pauses.
DEPTH = 2 * READ_LATENCY + 2


class OutputReader(wiring.Component):
    """Reads the output buffer in order, an output a cycle, behind the tiles that are complete.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; lanes must be a power of two.

    Members
    -------
    start : In(1)
        A matrix begins; pulses.
    wide : In(1)
        Its weights have 8 bits: half as many outputs as lanes. Stable until its last tile.
    count : In(16)
        Outputs to hand on, at most those that are computed; stable as long.
    tile_done : In(1)
        The outputs of a tile have been written, but for the last; pulses.
    address : Out
        Number of an output, for the output buffer.
    accumulator : In
        What it holds, ``READ_LATENCY`` cycles later.
    accumulators : Out(stream)
        The outputs.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        shape = signed(params.accumulator_width)
        super().__init__(
            {
                "start": In(1),
                "wide": In(1),
                "count": In(16),
                "tile_done": In(1),
                "address": Out(range(params.max_outputs)),
                "accumulator": In(shape),
                "accumulators": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        """Count what is there and what is asked for; keep what comes until it is taken."""
        m = Module()
        m.submodules.kept = kept = SyncFIFOBuffered(
            width=self.params.accumulator_width, depth=DEPTH
        )
        # Tiles as the lanes see them: parts of a tile of memory count by themselves.
        tiles, asked = Signal(16), Signal(17)
        room = Signal(range(DEPTH + 1), init=DEPTH)
        tile = exact_log2(self.params.lanes)
        complete = Signal()
        output = asked << self.wide
        ask = Signal()
        m.d.comb += [
            complete.eq(output[tile:] < tiles),
            ask.eq(complete & (asked != self.count) & (room != 0)),
            self.address.eq(asked),
            kept.w_data.eq(self.accumulator),
            self.accumulators.payload.eq(kept.r_data),
            self.accumulators.valid.eq(kept.r_rdy),
            kept.r_en.eq(self.accumulators.ready),
        ]
        taken = self.accumulators.valid & self.accumulators.ready
        coming = Signal(READ_LATENCY)
        m.d.comb += kept.w_en.eq(coming[-1])
        m.d.sync += [
            coming.eq(Cat(ask, coming)),
            room.eq(room - ask + taken),
            tiles.eq(tiles + self.tile_done),
            asked.eq(asked + ask),
        ]
        with m.If(self.start):
            m.d.sync += [tiles.eq(0), asked.eq(0)]
        return m
