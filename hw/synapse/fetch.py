"""Decides what external memory is asked for: the bursts of every group, in address order."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi4 import BOUNDARY
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.synapse.port import GROUP_PLACES
from hw.synapse.row_masks import mask_layout


def page_beats(params: CoreParams) -> int:
    """Beats between two addresses that no burst may cross."""
    return BOUNDARY * 8 // params.beat_bits


def burst_layout(params: CoreParams) -> data.StructLayout:
    """Describe a burst of one group.

    Members
    -------
    address : unsigned
        Beat address of the first beat.
    beats : unsigned
        Beats, at least 1; they do not cross a page of :func:`page_beats`.
    place : unsigned
        Place of the first beat in its group.
    last : unsigned(1)
        The group's last burst.
    """
    return data.StructLayout(
        {
            "address": range(params.memory_beats),
            "beats": range(GROUP_PLACES),
            "place": range(GROUP_PLACES),
            "last": 1,
        }
    )


class Fetcher(wiring.Component):
    """Walks over all groups of all tiles: scales first, then the rows of the block's mask.

    Neighbouring beats become one burst, the scales and a first row that follows them too. Bursts
    come one a cycle; a new group costs two cycles more.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    start : In(1)
        Begin with the tile at ``weight_base``; pulse. The other ports then stay as they are.
    tiles : In(16)
        Tiles to do, at least 1.
    blocks : In
        Groups of a tile, at least 1.
    weight_base : In
        Beat address.
    head_beats : In
        Beats of a group before its rows, at least 1.
    block : Out
        Block whose mask is asked for.
    known : In(1)
        ``mask`` is that of the block asked for in the cycle before.
    mask : In(mask_layout)
        Rows to fetch.
    free : In(1)
        There is room for a group.
    claim : Out(1)
        Takes this room; pulses. The group's bursts follow.
    bursts : Out(stream)
        See :func:`burst_layout`.
    rows_read, beats_read, beats_hole : Out(32)
        Counters, cleared at ``start``: rows that fire, these and scales, rows that do not fire.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "start": In(1),
                "tiles": In(16),
                "blocks": In(range(params.max_blocks + 1)),
                "weight_base": In(range(params.memory_beats)),
                "head_beats": In(range(GROUP_PLACES - BLOCK)),
                "block": Out(range(params.max_blocks)),
                "known": In(1),
                "mask": In(mask_layout()),
                "free": In(1),
                "claim": Out(1),
                "bursts": Out(stream.Signature(burst_layout(params))),
                "rows_read": Out(32),
                "beats_read": Out(32),
                "beats_hole": Out(32),
            }
        )

    def elaborate(self, platform):
        """Take a group's mask apart into runs, and these at page boundaries into bursts."""
        m = Module()
        run = Signal(self._run_layout())
        run_valid, run_ready = Signal(), Signal()
        self._find_runs(m, run, run_valid, run_ready)
        self._split(m, run, run_valid, run_ready)
        return m

    def _run_layout(self):
        places = range(GROUP_PLACES)
        address = range(self._params.memory_beats)
        return data.StructLayout({"base": address, "first": places, "final": places, "last": 1})

    def _find_runs(self, m, run, run_valid, run_ready):
        """Mark the first and the final place of every run; take the lowest of both each cycle."""
        address = Signal.like(self.weight_base)
        base = Signal.like(address)
        tiles = Signal(16)
        wanted = Signal(GROUP_PLACES)
        starts, finals = Signal(GROUP_PLACES), Signal(GROUP_PLACES)
        final_block = self.block + 1 == self.blocks
        last = ~_several(starts)[1]
        heads = ~(-1 << self.head_beats)
        m.d.comb += wanted.eq((self.mask.fetched << self.head_beats) | heads)
        with m.If(run_ready):
            m.d.sync += run_valid.eq(0)

        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(self.weight_base),
                        tiles.eq(self.tiles),
                        self.block.eq(0),
                        self.rows_read.eq(0),
                        self.beats_read.eq(0),
                        self.beats_hole.eq(0),
                    ]
                    m.next = "mask"

            with m.State("mask"):
                m.next = "group"

            with m.State("group"):
                with m.If(self.known & self.free):
                    m.d.comb += self.claim.eq(1)
                    m.d.sync += [
                        base.eq(address),
                        address.eq(address + self.head_beats + BLOCK),
                        starts.eq(wanted & ~(wanted << 1)),
                        finals.eq(wanted & ~(wanted >> 1)),
                        self.rows_read.eq(self.rows_read + self.mask.rows),
                        self.beats_read.eq(self.beats_read + self.mask.rows + self.head_beats),
                        self.beats_hole.eq(self.beats_hole + self.mask.holes),
                        self.block.eq(Mux(final_block, 0, self.block + 1)),
                        tiles.eq(tiles - final_block),
                    ]
                    m.next = "runs"

            with m.State("runs"):
                with m.If(run_ready | ~run_valid):
                    m.d.sync += [
                        run_valid.eq(1),
                        run.base.eq(base),
                        run.first.eq(_lowest(starts)),
                        run.final.eq(_lowest(finals)),
                        run.last.eq(last),
                        starts.eq(starts & (starts - 1)),
                        finals.eq(finals & (finals - 1)),
                    ]
                    with m.If(last):
                        m.next = "group"
                        with m.If(tiles == 0):
                            m.next = "idle"

    def _split(self, m, run, run_valid, run_ready):
        """Cut a run at page boundaries."""
        page = page_beats(self._params)
        burst = self.bursts.p
        resumes = Signal()  # earlier bursts took a part of the run
        resumed, place = Signal.like(run.first), Signal.like(run.first)
        address = Signal.like(burst.address)
        room, fits = Signal(range(page + 1)), Signal()
        offset = run.base % page
        m.d.comb += [
            place.eq(Mux(resumes, resumed, run.first)),
            address.eq(run.base + place),
            room.eq(page - address % page),
            fits.eq((offset + place) // page == (offset + run.final) // page),
            run_ready.eq(run_valid & fits & (self.bursts.ready | ~self.bursts.valid)),
        ]
        with m.If(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)
        with m.If(run_valid & (self.bursts.ready | ~self.bursts.valid)):
            m.d.sync += [
                self.bursts.valid.eq(1),
                burst.address.eq(address),
                burst.beats.eq(Mux(fits, run.final - place + 1, room)),
                burst.place.eq(place),
                burst.last.eq(run.last & fits),
                resumes.eq(~fits),
                resumed.eq(place + room),
            ]


def _lowest(flags):
    """Return the number of the lowest flag that is set; their number is a power of two."""
    if len(flags) == 1:
        return Const(0, 0)
    low, high = flags[: len(flags) // 2], flags[len(flags) // 2 :]
    return Cat(Mux(low.any(), _lowest(low), _lowest(high)), ~low.any())


def _several(flags):
    """Tell whether any flag is set, and whether more than one is."""
    if len(flags) == 1:
        return flags, Const(0, 1)
    low, low_several = _several(flags[: len(flags) // 2])
    high, high_several = _several(flags[len(flags) // 2 :])
    return low | high, low_several | high_several | (low & high)
