"""Decides what external memory is asked for: the bursts of every group, in address order."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.slice import Slice
from hw.spec.axi4 import BOUNDARY, LONGEST
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.synapse.flags import count, lowest
from hw.synapse.port import HEAD_PLACES
from hw.synapse.row_masks import mask_layout

#: Places of a group's beats, for each part of a tile: head and rows, rounded up.
GROUP_PLACES = 64


def page_beats(params: CoreParams) -> int:
    """Beats between two addresses that no burst crosses."""
    octets = min(BOUNDARY, LONGEST * params.axi_data_width // 8)
    return octets * 8 // params.beat_bits


def burst_layout(params: CoreParams) -> data.StructLayout:
    """Describe a burst of one group.

    Members
    -------
    address : unsigned
        Beat address of the first beat.
    beats : unsigned
        Beats; they do not cross a page of :func:`page_beats`. A group's last burst may have none.
    place : unsigned
        Place of the first beat in its group.
    last : unsigned(1)
        The group's last burst.
    """
    return data.StructLayout(
        {
            "address": range(params.memory_beats),
            "beats": range(GROUP_PLACES * params.sub_tiles),
            "place": range(GROUP_PLACES * params.sub_tiles),
            "last": 1,
        }
    )


class Fetcher(wiring.Component):
    """Walks over all groups of all tiles: the head first, then the rows of the block's mask.

    Neighbouring beats become one burst, the head and a first row that follows it too. A head is
    asked for before its mask is known, and then stands alone; if no row fires after all, a burst
    without beats ends the group. Bursts come one a cycle; a new group costs two cycles more.

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
        Beats of one head, at least 1.
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
                "head_beats": In(range(HEAD_PLACES + 1)),
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
        m.submodules.slice = between = Slice(self._run_layout())
        self._find_runs(m, between.source)
        self._split(m, between.target)
        return m

    def _run_layout(self):
        places = range(GROUP_PLACES * self._params.sub_tiles)
        address = range(self._params.memory_beats)
        return data.StructLayout(
            {"base": address, "first": places, "final": places, "none": 1, "last": 1}
        )

    def _find_runs(self, m, runs):
        """Mark the first and the final place of every run; take the lowest of both each cycle.

        A mark stands for as many beats as a tile has parts.
        """
        run, parts = runs.p, self._params.sub_tiles
        address = Signal.like(self.weight_base)
        base = Signal.like(address)
        tiles = Signal(16)
        wanted = Signal(GROUP_PLACES)
        starts, finals = Signal(GROUP_PLACES), Signal(GROUP_PLACES)
        unmask, unmasked = Signal(), Signal()  # the mask is taken; it has been, for this group
        final_block = Signal()  # right when a mask is taken: at the earliest 2 cycles later
        some, several = count(starts)
        last = ~several
        heads = Mux(self.claim, ~(-1 << self.head_beats), 0)
        counters = self.rows_read, self.beats_read, self.beats_hole
        more = [Signal.like(run.first, name=f"more_{counter.name}") for counter in counters]
        m.d.comb += wanted.eq(heads | Mux(unmask, self.mask.fetched << self.head_beats, 0))
        m.d.sync += [
            *(counter.eq(counter + amount) for counter, amount in zip(counters, more, strict=True)),
            *(amount.eq(0) for amount in more),
            final_block.eq(self.block + 1 == self.blocks),
        ]
        with m.If(runs.ready):
            m.d.sync += runs.valid.eq(0)

        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(self.weight_base),
                        tiles.eq(self.tiles),
                        self.block.eq(0),
                        *(counter.eq(0) for counter in counters),
                    ]
                    m.next = "mask"

            with m.State("mask"):
                m.next = "group"

            with m.State("group"):
                with m.If(self.free):
                    m.d.comb += [self.claim.eq(1), unmask.eq(self.known)]
                    span = (self.head_beats + BLOCK) * parts
                    m.d.sync += [base.eq(address), address.eq(address + span)]
                    m.next = "runs"

            with m.State("rows"):
                with m.If(self.known):
                    m.d.comb += unmask.eq(1)
                    m.next = "runs"

            with m.State("runs"):
                with m.If(runs.ready | ~runs.valid):
                    m.d.sync += [
                        runs.valid.eq(1),
                        run.base.eq(base),
                        run.first.eq(lowest(starts) * parts),
                        run.final.eq(lowest(finals) * parts + parts - 1),
                        run.none.eq(0),
                        run.last.eq(unmasked & last),
                        starts.eq(starts & (starts - 1)),
                        finals.eq(finals & (finals - 1)),
                    ]
                    with m.If(~some):
                        m.d.sync += [run.first.eq(0), run.final.eq(0), run.none.eq(1)]
                    with m.If(last):
                        m.next = "rows"
                        with m.If(unmasked):
                            m.next = "group"
                            with m.If(tiles == 0):
                                m.next = "idle"

        with m.If(self.claim | unmask):
            beats = Mux(self.claim, self.head_beats, 0) + Mux(unmask, self.mask.rows, 0)
            m.d.sync += [
                starts.eq(wanted & ~(wanted << 1)),
                finals.eq(wanted & ~(wanted >> 1)),
                unmasked.eq(unmask),
                more[1].eq(beats * parts),
            ]
        with m.If(unmask):
            m.d.sync += [
                more[0].eq(self.mask.rows * parts),
                more[2].eq(self.mask.holes * parts),
                self.block.eq(Mux(final_block, 0, self.block + 1)),
                tiles.eq(tiles - final_block),
            ]

    def _split(self, m, runs):
        """Cut a run at page boundaries."""
        page = page_beats(self._params)
        run, burst = runs.p, self.bursts.p
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
            runs.ready.eq(runs.valid & fits & (self.bursts.ready | ~self.bursts.valid)),
        ]
        with m.If(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)
        with m.If(runs.valid & (self.bursts.ready | ~self.bursts.valid)):
            m.d.sync += [
                self.bursts.valid.eq(1),
                burst.address.eq(address),
                burst.beats.eq(Mux(fits, Mux(run.none, 0, run.final - place + 1), room)),
                burst.place.eq(place),
                burst.last.eq(run.last & fits),
                resumes.eq(~fits),
                resumed.eq(place + room),
            ]
