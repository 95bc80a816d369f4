"""Fetcher of the plain engine: every row, in address order."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

from hw.spec.codes import BLOCK
from hw.synapse.fetch import Fetcher, page_beats


class DenseFetcher(Fetcher):
    """Asks for whole groups one after the other, in bursts that end at page boundaries."""

    def elaborate(self, platform):
        """Claim room for a group, then cut it at page boundaries."""
        m = Module()
        page = page_beats(self._params)
        burst = self.bursts.p
        address, place = Signal.like(burst.address), Signal.like(burst.place)
        groups, tiles = Signal.like(self.blocks), Signal.like(self.tiles)
        room, left, fits = Signal(range(page + 1)), Signal.like(burst.beats), Signal()
        m.d.comb += [
            room.eq(page - address % page),
            left.eq(self.head_beats + BLOCK - place),
            fits.eq(left <= room),
        ]
        with m.If(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)
        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(self.weight_base),
                        tiles.eq(self.tiles),
                        groups.eq(self.blocks),
                        self.rows_read.eq(0),
                        self.beats_read.eq(0),
                    ]
                    m.next = "group"
            with m.State("group"):
                with m.If(self.free):
                    m.d.comb += self.claim.eq(1)
                    m.d.sync += [
                        place.eq(0),
                        self.rows_read.eq(self.rows_read + BLOCK),
                        self.beats_read.eq(self.beats_read + self.head_beats + BLOCK),
                        groups.eq(Mux(groups == 1, self.blocks, groups - 1)),
                        tiles.eq(tiles - (groups == 1)),
                    ]
                    m.next = "bursts"
            with m.State("bursts"):
                with m.If(self.bursts.ready | ~self.bursts.valid):
                    beats = Mux(fits, left, room)
                    m.d.sync += [
                        self.bursts.valid.eq(1),
                        burst.address.eq(address),
                        burst.beats.eq(beats),
                        burst.place.eq(place),
                        burst.last.eq(fits),
                        address.eq(address + beats),
                        place.eq(place + beats),
                    ]
                    with m.If(fits):
                        m.next = "group"
                        with m.If(tiles == 0):
                            m.next = "idle"
        return m
