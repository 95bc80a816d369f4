"""Hands the outputs of a matrix on while its later tiles are still computed."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.integrate.output_buffer import READ_LATENCY
from hw.spec.params import MOST_VECTORS, CoreParams

#: Outputs that may wait: those on their way, and as many again so that none pauses.
DEPTH = 2 * READ_LATENCY + 2


def output_layout(params: CoreParams) -> data.StructLayout:
    """Return the layout of an output and its place among those that are handed on.

    They come tile by tile, each tile's vector by vector. A **segment** is what a vector has in a
    tile.

    Members
    -------
    accumulator : signed
        The output.
    ends_segment, ends_tile : unsigned(1)
        It is the last of its segment, and of its tile. Without bits where ``batch`` is 1: there
        the outputs simply follow each other.
    last : unsigned(1)
        None comes after it.
    """
    several = int(params.batch > 1)
    return data.StructLayout(
        {
            "accumulator": signed(params.accumulator_width),
            "ends_segment": several,
            "ends_tile": several,
            "last": 1,
        }
    )


class OutputReader(wiring.Component):
    """Reads the output buffer in its order, an output a cycle, behind the tiles that are complete.

    Nothing is left behind but what a tile has beyond ``count``.

    Parameters
    ----------
    params : CoreParams
        The core's parameters; lanes must be a power of two.

    Members
    -------
    start : In(1)
        A matrix begins; pulses, when the outputs before are all handed on.
    wide : In(1)
        Its weights have 8 bits: half as many outputs as lanes. Stable until its last output.
    count, vectors : In(16), In(7)
        Outputs to hand on of each vector, at most those that are computed, and vectors, at least
        1; read with ``start``.
    tile_done : In(1)
        The outputs of a tile, or of a part of it, have been written for one vector, but for the
        last; pulses.
    address : Out
        Number of an output, for the output buffer.
    accumulator : In
        What it holds, ``READ_LATENCY`` cycles later.
    outputs : Out(stream)
        See :func:`output_layout`.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "start": In(1),
                "wide": In(1),
                "count": In(16),
                "vectors": In(range(MOST_VECTORS + 1)),
                "tile_done": In(1),
                "address": Out(range(params.max_outputs)),
                "accumulator": In(signed(params.accumulator_width)),
                "outputs": Out(stream.Signature(output_layout(params))),
            }
        )

    def elaborate(self, platform):
        """Count what is there and what is asked for; keep what comes until it is taken."""
        m = Module()
        kept_bits = output_layout(self.params).size
        m.submodules.kept = kept = SyncFIFOBuffered(width=kept_bits, depth=DEPTH)
        # Outputs of tiles as the lanes see them: parts of a tile of memory count by themselves.
        complete, asked = (
            Signal(range(self.params.max_outputs + 1), name=name) for name in ("complete", "asked")
        )
        room = Signal(range(DEPTH + 1), init=DEPTH)
        ask = Signal()
        place = self._walk(m, ask, asked)
        m.d.comb += [
            ask.eq((asked < complete) & place.wanted & (room != 0)),
            self.address.eq(asked),
            self.outputs.valid.eq(kept.r_rdy),
            self.outputs.payload.eq(kept.r_data),
            kept.r_en.eq(self.outputs.ready),
        ]

        coming = Signal(READ_LATENCY)
        output = place
        for stage in range(READ_LATENCY):
            later = Signal.like(place, name=f"place_{stage}")
            m.d.sync += later.eq(output)
            output = later
        m.d.comb += [
            kept.w_en.eq(coming[-1]),
            kept.w_data.eq(
                Cat(self.accumulator, output.ends_segment, output.ends_tile, output.last)
            ),
        ]
        taken = self.outputs.valid & self.outputs.ready
        m.d.sync += [
            coming.eq(Cat(ask, coming)),
            room.eq(room - ask + taken),
        ]
        with m.If(self.tile_done):
            lanes = self.params.lanes
            m.d.sync += complete.eq(complete + Mux(self.wide, lanes // 2, lanes))
        with m.If(self.start):
            m.d.sync += complete.eq(0)
        return m

    def _walk(self, m, ask, asked) -> Signal:
        """Go from output to output; behind those of a segment that are wanted, to the next one."""
        several = int(self.params.batch > 1)
        place = Signal(
            data.StructLayout(
                {"wanted": 1, "ends_segment": several, "ends_tile": several, "last": 1}
            )
        )
        # What is left of this vector, and was left of each where the tile began.
        left, tile_left = Signal(16), Signal(16)
        vector, last_vector = (Signal(range(self.params.batch), name=n) for n in ("at", "most"))
        size = exact_log2(self.params.tile_lanes)
        rest_of_tile = Signal(size)
        m.d.sync += rest_of_tile.eq(Mux(self.wide, (1 << size - 1) - 1, (1 << size) - 1))
        tile_is_read = (~asked[:size] & rest_of_tile) == 0
        ends, final = Signal(), Signal()
        m.d.comb += [
            ends.eq(tile_is_read | (left == 1)),
            final.eq(vector == last_vector),
            place.wanted.eq(left != 0),
            place.ends_segment.eq(ends),
            place.ends_tile.eq(ends & final),
            place.last.eq((left == 1) & final),
        ]
        with m.If(ask):
            m.d.sync += [
                asked.eq((asked | Mux(ends, rest_of_tile, 0)) + 1),
                left.eq(left - 1),
            ]
            with m.If(ends):
                with m.If(final):
                    m.d.sync += [vector.eq(0), tile_left.eq(left - 1)]
                with m.Else():
                    m.d.sync += [vector.eq(vector + 1), left.eq(tile_left)]
        with m.If(self.start):
            m.d.sync += [
                asked.eq(0),
                left.eq(self.count),
                tile_left.eq(self.count),
                vector.eq(0),
                last_vector.eq(self.vectors - 1),
            ]
        return place
