"""Hands the outputs of a matrix on while its later tiles are still computed."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.compare import has_all
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
        """Count what is asked for; keep what comes until it is taken."""
        m = Module()
        kept_bits = output_layout(self.params).size
        m.submodules.kept = kept = SyncFIFOBuffered(width=kept_bits, depth=DEPTH)
        room = Signal(range(DEPTH + 1), init=DEPTH)
        ask, is_complete = Signal(), Signal()
        place = self._walk(m, ask, is_complete)
        m.d.comb += [
            ask.eq(is_complete & place.wanted & (room != 0)),
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
        return m

    def _walk(self, m, ask, is_complete) -> Signal:
        """Go from output to output; behind those of a segment that are wanted, to the next one.

        What is known of the next output is found with the one before: so much waits for it.
        """
        several = int(self.params.batch > 1)
        place = Signal(
            data.StructLayout(
                {"wanted": 1, "ends_segment": several, "ends_tile": several, "last": 1}
            )
        )
        asked = Signal(range(self.params.max_outputs + 1))
        # What is left of this vector, and was left of each where the tile began.
        left, tile_left = Signal(16, name="left"), Signal(16)
        vector, last_vector = (Signal(range(self.params.batch), name=n) for n in ("at", "most"))
        size = exact_log2(self.params.tile_lanes)
        rest_of_tile = Signal(size)
        m.d.sync += rest_of_tile.eq(Mux(self.wide, (1 << size - 1) - 1, (1 << size) - 1))
        wanted, ends, final, is_last = (
            Signal(name=name) for name in ("wanted", "ends", "final", "is_last")
        )
        m.d.comb += [
            self.address.eq(asked),
            place.wanted.eq(wanted),
            place.ends_segment.eq(ends),
            place.ends_tile.eq(ends & final),
            place.last.eq(is_last & final),
        ]
        m.d.sync += [
            is_last.eq(left == 1),
            ends.eq(has_all(asked[:size], rest_of_tile) | (left == 1)),
            final.eq(vector == last_vector),
        ]
        with m.If(ask):
            m.d.sync += [
                asked.eq((asked | Mux(ends, rest_of_tile, 0)) + 1),
                left.eq(left - 1),
                is_last.eq(left == 2),
                ends.eq(has_all((asked + 1)[:size], rest_of_tile) | (left == 2)),
                final.eq(final),
            ]
            with m.If(is_last & final):
                m.d.sync += wanted.eq(0)
            with m.If(ends):
                m.d.sync += ends.eq((rest_of_tile == 0) | (left == 2))
                with m.If(final):
                    m.d.sync += [vector.eq(0), tile_left.eq(left - 1), final.eq(last_vector == 0)]
                with m.Else():
                    m.d.sync += [
                        vector.eq(vector + 1),
                        final.eq(vector + 1 == last_vector),
                        left.eq(tile_left),
                        is_last.eq(tile_left == 1),
                        ends.eq((rest_of_tile == 0) | (tile_left == 1)),
                    ]
        with m.If(self.start):
            m.d.sync += [
                asked.eq(0),
                left.eq(self.count),
                tile_left.eq(self.count),
                wanted.eq(self.count != 0),
                vector.eq(0),
                last_vector.eq(self.vectors - 1),
            ]
        self._complete(m, ask, is_complete, asked, ends)
        return place

    def _complete(self, m, ask, is_complete, asked, ends) -> None:
        """Count the parts of tiles that are complete, but for those that were asked for."""
        lanes, per_tile = self.params.lanes, self.params.tile_lanes // self.params.lanes
        parts = 2 * -(-self.params.max_outputs // lanes)
        ahead = Signal(range(-per_tile, parts + 1))
        part, bits = exact_log2(lanes), exact_log2(per_tile)
        rest_of_part, ends_part = Signal(part), Signal()
        m.d.sync += [
            rest_of_part.eq(Mux(self.wide, lanes // 2 - 1, lanes - 1)),
            ends_part.eq(has_all(asked[:part], rest_of_part)),
        ]
        with m.If(ask):
            m.d.sync += ends_part.eq(
                Mux(ends, rest_of_part == 0, has_all((asked + 1)[:part], rest_of_part))
            )
        in_tile = Mux(self.wide, asked[part - 1 :][:bits], asked[part:][:bits])
        with_it = ahead - Mux(ends, per_tile - in_tile, ends_part)
        without, with_it = ahead + self.tile_done, with_it + self.tile_done
        m.d.sync += [
            ahead.eq(Mux(ask, with_it, without)),
            is_complete.eq(Mux(ask, with_it > 0, without > 0)),
        ]
        with m.If(self.start):
            m.d.sync += [ahead.eq(0), is_complete.eq(0)]
