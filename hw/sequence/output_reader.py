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

    Of a batch it hands on the outputs of the first vector, then those of the next, and so on.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; lanes must be a power of two.

    Members
    -------
    start : In(1)
        A matrix begins; pulses, when the outputs before are all handed on.
    wide : In(1)
        Its weights have 8 bits: half as many outputs as lanes. Stable until its last tile.
    count : In(16)
        Outputs to hand on, at most those that are computed; read with ``start``. Of each vector of
        a batch, and stable until the last one's.
    vector : In
        Number of the last vector of the batch; as stable. Only where ``batch`` is above 1.
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
                **({"vector": In(range(params.batch))} if params.batch > 1 else {}),
                "address": Out(range(params.batch * params.max_outputs)),
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
        more = (self.params.batch - 1).bit_length()
        tiles, asked, left = Signal(16 + more), Signal(17 + more), Signal(16)
        room = Signal(range(DEPTH + 1), init=DEPTH)
        tile = exact_log2(self.params.lanes)
        complete = Signal()
        output = asked << self.wide
        ask = Signal()
        m.d.comb += [
            complete.eq(output[tile:] < tiles),
            ask.eq(complete & (left != 0) & (room != 0)),
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
            left.eq(left - ask),
        ]
        if self.params.batch > 1:
            self._skip_vectors(m, ask, asked, left)
        with m.If(self.start):
            m.d.sync += [tiles.eq(0), asked.eq(0), left.eq(self.count)]
        return m

    def _skip_vectors(self, m, ask, asked, left):
        """Skip, behind a tile's outputs, those of the other vectors; begin anew for the next."""
        vector = Signal.like(self.vector)
        size = exact_log2(self.params.tile_lanes)
        tile_ends = asked[: size - 1].all() & (asked[size - 1] | self.wide)
        with m.If(ask & tile_ends):
            m.d.sync += asked.eq(asked + (self.vector << size >> self.wide) + 1)
        with m.If(ask & (left == 1) & (vector != self.vector)):
            m.d.sync += [
                vector.eq(vector + 1),
                asked.eq((vector + 1) << size >> self.wide),
                left.eq(self.count),
            ]
        with m.If(self.start):
            m.d.sync += vector.eq(0)
