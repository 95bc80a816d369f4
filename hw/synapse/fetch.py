"""Decides what external memory is asked for: the bursts of every group, in address order."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.encode.slice import Slice
from hw.register import plain_register
from hw.spec.axi4 import BOUNDARY, LONGEST
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.synapse.flags import count, number
from hw.synapse.port import HEAD_PLACES
from hw.synapse.row_masks import mask_layout

#: Beats of a group, for each part of a tile: head and rows; and places for them, rounded up.
MARKS = HEAD_PLACES + BLOCK
GROUP_PLACES = 64

#: Marks of which is known beforehand how many are left.
_PART = 8


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
        Block whose mask is asked for; 0 where the fetcher is idle.
    known : In(1)
        ``mask`` is that of the block asked for two cycles before.
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

    def _find_runs(self, m, target):
        """Mark the first and the final place of every run; take the lowest of both each cycle.

        A mark stands for as many beats as a tile has parts.
        """
        parts = self._params.sub_tiles
        address = Signal.like(self.weight_base, reset_less=True)
        base = Signal.like(address, reset_less=True)
        tiles, finished = Signal(16), Signal()
        wanted = Signal(MARKS, reset_less=True)
        marks, marked = Signal(), Signal()  # wanted rows are marked now; the mask was among them
        unmask, unmasked = Signal(), Signal()  # the mask is taken; it has been, for this group
        final_block = Signal()  # right when a mask is taken: at the earliest 2 cycles later
        take, held = Signal(), Signal()
        starts, last, some = self._marks(m, "starts", marks, wanted & ~(wanted << 1), take)
        finals, _, _ = self._marks(m, "finals", marks, wanted & ~(wanted >> 1), take)
        run = Signal(
            data.StructLayout(
                {"base": address.shape(), "first": MARKS, "final": MARKS, "some": 1, "last": 1}
            ),
            reset_less=True,
        )
        counters = self.rows_read, self.beats_read, self.beats_hole
        more = [Signal.like(target.p.first, name=f"more_{counter.name}") for counter in counters]
        m.d.comb += [
            marked.eq(unmasked & last),
            # Their numbers are found behind a register.
            target.valid.eq(held),
            target.p.base.eq(run.base),
            target.p.first.eq(number(run.first) * parts),
            target.p.final.eq(number(run.final) * parts + Mux(run.some, parts - 1, 0)),
            target.p.none.eq(~run.some),
            target.p.last.eq(run.last),
        ]
        m.d.sync += [
            *(counter.eq(counter + amount) for counter, amount in zip(counters, more, strict=True)),
            *(amount.eq(0) for amount in more),
            final_block.eq(self.block + 1 == self.blocks),
            finished.eq(tiles == 0),
        ]
        with m.If(target.ready):
            m.d.sync += held.eq(0)

        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(self.weight_base),
                        tiles.eq(self.tiles),
                        *(counter.eq(0) for counter in counters),
                    ]
                    m.next = "group"

            with m.State("group"):
                with m.If(self.free):
                    m.d.comb += [self.claim.eq(1), unmask.eq(self.known)]
                    span = (self.head_beats + BLOCK) * parts
                    m.d.sync += [base.eq(address), address.eq(address + span)]
                    m.next = "marks"

            with m.State("rows"):
                with m.If(self.known):
                    m.d.comb += unmask.eq(1)
                    m.next = "marks"

            with m.State("marks"):
                m.d.comb += marks.eq(1)
                m.next = "runs"

            with m.State("runs"):
                with m.If(target.ready | ~held):
                    m.d.comb += take.eq(1)
                    m.d.sync += [
                        held.eq(1),
                        run.base.eq(base),
                        run.first.eq(starts),
                        run.final.eq(finals),
                        run.some.eq(some),
                        run.last.eq(marked),
                    ]
                    with m.If(last):
                        m.next = "rows"
                        with m.If(unmasked):
                            m.next = "group"
                            with m.If(finished):
                                m.next = "idle"

        with m.If(self.claim | unmask):
            heads = Mux(self.claim, ~(-1 << self.head_beats), 0)
            rows = Mux(unmask, self.mask.fetched << self.head_beats, 0)
            beats = Mux(self.claim, self.head_beats, 0) + Mux(unmask, self.mask.rows, 0)
            m.d.sync += [
                wanted.eq(heads | rows),
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

    def _marks(self, m, name, load, marks, take):
        """Keep marks, and of each eight whether there are any, and several, beside them.

        Returns the lowest mark, whether no other is left, and whether there is one.
        """
        kept = Signal(MARKS, name=name, reset_less=True)
        parts = range(0, MARKS, _PART)
        some, several = (Signal(len(parts), name=f"{name}_{n}") for n in ("some", "several"))
        others = kept - 1
        with m.If(take):
            m.d.sync += kept.eq(kept & others)
        with m.If(load):
            m.d.sync += kept.eq(marks)
        below = Const(0, 1)
        for i, first in enumerate(parts):
            any_loaded, several_loaded, _ = count(marks[first : first + _PART])
            _, _, three = count(kept[first : first + _PART])
            with m.If(take & ~below):
                m.d.sync += [some[i].eq(several[i]), several[i].eq(three)]
            with m.If(load):
                m.d.sync += [some[i].eq(any_loaded), several[i].eq(several_loaded)]
            below |= some[i]
        _, spread, _ = count(some)
        return kept & ~others, ~(spread | several.any()), some.any()

    def _split(self, m, runs):
        """Cut a run at page boundaries."""
        page = page_beats(self._params)
        run, burst = runs.p, plain_register(m, self.bursts.p)
        resumes = Signal()  # earlier bursts took a part of the run
        resumed, place = Signal.like(run.first, reset_less=True), Signal.like(run.first)
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
