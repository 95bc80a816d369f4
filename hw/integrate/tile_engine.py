"""Tile engine: turns the events of every tile into reads of synapse memory, one a cycle."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.encode.event import EventSignature
from hw.integrate.beat import SPIKE_FIELDS, beat_layout
from hw.spec.codes import BLOCK
from hw.spec.crossbar_cycles import array_interval
from hw.spec.cycles import MEMORY_LATENCY, group_interval
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import CoreParams
from hw.synapse.port import HEAD_PLACES, ReadSignature


class _Head(NamedTuple):
    """Head being read: a beat in this cycle, all of it; that beat's number, and place in memory."""

    turn: Signal
    done: Signal
    number: Signal
    place: Signal


class TileEngine(wiring.Component):
    """Takes the items of every tile, and reads the rows that fire and the heads of their groups.

    Groups follow each other in memory, so addresses only ever run on. The item that hands a group
    over is taken only when the scaler will be free for its sums and the group's head has been
    asked for; behind that point nothing waits. With ``mac`` that item is the group's last, with
    ``spike`` the next group's first, or the flush at the vector's end. The next group's head is
    read after it: on chip before its rows, which wait for the one port; outside beside them. A
    group is entered when memory has all of it, at the latest by the first item that fires in it.

    Where a tile is wider than the core, each block comes once for each part of the tile, and the
    parts are groups of their own that lie together in memory: heads first, then row by row. Of a
    batch, each block comes for one vector after the other, which all read the group's head and such
    of its rows as they need, before the next group is entered.

    From ``start`` to the last item every cycle is one of an item, of a head's beat on chip, or of
    a stall, which has one cause: the encoder offers no item; or else the scaler is not free; or
    else memory has not delivered.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    start : In(1)
        Begin with the tile at ``weight_base``; pulse.
    tiles : In(16)
        Tiles to do, at least 1.
    vector : In
        Number of the last vector of the batch.
    weight_base : In
        Beat address.
    wide : In(1)
        Weights have 8 bits.
    sums : In(1)
        Groups have row sums.
    replay : Out(1)
        Asks the encoder for the events of all tiles; pulses.
    events : In(EventSignature)
        The vector's events, once for each tile.
    read : Out(ReadSignature)
        Synapse memory.
    beat : Out(beat_layout)
        Meaning of the beats that the memory gives in this cycle.
    rows_read, beats_read, stall_encoder, stall_scaler, stall_memory : Out(32)
        Counters, cleared at ``start``.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        names = ("rows_read", "beats_read", "stall_encoder", "stall_scaler", "stall_memory")
        super().__init__(
            {
                "start": In(1),
                "tiles": In(16),
                "vector": In(range(params.batch)),
                "weight_base": In(range(params.memory_beats)),
                "wide": In(1),
                "sums": In(1),
                "replay": Out(1),
                "events": In(EventSignature(params)),
                "read": Out(ReadSignature(params)),
                "beat": Out(beat_layout(params)),
                **{name: Out(32) for name in names},
            }
        )

    def elaborate(self, platform):
        """Take an item when nothing hinders; keep the place in the tile; count."""
        m = Module()
        event = self.events.payload
        spike = self._params.integrator == "spike"
        parts = self._params.sub_tiles
        active = Signal()
        entered = Signal()  # the group is the one that memory reads
        taken, ends = Signal(), Signal()
        hands_over = event.ends_group if spike else event.last
        part = Signal(range(parts))
        last_part = part == parts - 1
        vector = Signal.like(self.vector)
        leaves = last_part  # the item's group is over with it
        if self._params.batch > 1:
            leaves = last_part & (vector == self.vector)
        # With `spike` the item that hands over fires a row of the next part or group already.
        passes = hands_over if spike else Const(0)
        enters = passes & leaves & ~event.empty

        here = entered | self.read.ready
        head_beats = Signal(range(HEAD_PLACES + 1))
        scale_beats = Mux(self.wide, W8.scale_beats, W4.scale_beats)
        m.d.sync += head_beats.eq(scale_beats + Mux(self.sums, SUM_BEATS, 0))
        restart = self.start | (ends & last_part)
        head = self._walk_heads(m, head_beats, active & here, ends, restart)
        rows_turn = active if self._params.external else active & head.done
        lacks_row = Mux(enters, ~self.read.ready, ~event.empty & ~here)
        free = self._free(m, ends, group_interval(self._params))
        if self._params.shared > 1:
            free &= self._array_free(m, event.last_block, ends)
        waits_scaler = hands_over & (~free | (here & ~head.done))
        waits_memory = lacks_row | (hands_over & ~head.done)
        place = Cat((part + passes)[: len(part)], event.row)
        m.d.comb += [
            self.events.ready.eq(rows_turn & ~waits_scaler & ~waits_memory),
            taken.eq(self.events.valid & self.events.ready),
            ends.eq(taken & hands_over),
        ]
        m.d.sync += [
            self.replay.eq(self.start),
            self.read.next.eq(active & ((here & ~entered) | (taken & enters))),
            self.read.en.eq(taken & ~event.empty),
            self.read.place.eq(place),
            self.read.head_en.eq(head.turn),
            self.read.head_place.eq(head.place),
        ]

        address = Signal.like(self.weight_base)
        tiles = Signal(16)
        first = Signal()
        span = Mux(enters, head_beats + BLOCK, 0)
        row = (head_beats + span) * parts + place
        m.d.sync += self.read.address.eq(address + Mux(head.turn, head.place, row))
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                address.eq(self.weight_base),
                tiles.eq(self.tiles),
                first.eq(1),
                part.eq(0),
                vector.eq(0),
                entered.eq(0),
            ]
        with m.Elif(ends & ~leaves):
            m.d.sync += part.eq(part + 1)
            if self._params.batch > 1:
                m.d.sync += vector.eq(vector + last_part)
        with m.Elif(ends):
            m.d.sync += [
                part.eq(0),
                vector.eq(0),
                address.eq(address + (head_beats + BLOCK) * parts),
                first.eq(event.last_block),
                entered.eq(enters),
                tiles.eq(tiles - event.last_block),
                active.eq(~event.last_block | (tiles != 1)),
            ]
        with m.Elif(active & here):
            m.d.sync += entered.eq(1)

        command = Signal(beat_layout(self._params))
        m.d.sync += [
            command.scale.eq(head.turn & (head.number < scale_beats)),
            command.sums.eq(head.turn & (head.number >= scale_beats)),
            command.row.eq(taken),
            command.last.eq(hands_over),
            command.group.mantissa.eq(event.mantissa),
            command.group.shift.eq(event.shift),
            command.group.code_sum.eq(event.code_sum),
            command.group.first.eq(first),
            command.group.last.eq(event.last_block),
            command.group.part.eq(part),
            command.group.vector.eq(vector),
        ]
        if spike:
            m.d.sync += [getattr(command, f).eq(getattr(event, f)) for f in SPIKE_FIELDS]
            if self._params.crossbar:
                m.d.sync += command.line.eq(event.row)
            if self._params.shared > 1:
                m.d.sync += [command.level.eq(event.level), command.coarse.eq(event.coarse)]
        else:
            m.d.sync += command.code.eq(Mux(event.empty, 0, event.code))
        self._delay(m, command)

        stalls = rows_turn & ~taken
        self._count(m, self.stall_encoder, stalls & ~self.events.valid)
        self._count(m, self.stall_scaler, stalls & self.events.valid & waits_scaler)
        self._count(m, self.stall_memory, stalls & self.events.valid & ~waits_scaler)
        self._count(m, self.rows_read, self.read.en)
        self._count(m, self.beats_read, self.read.en + self.read.head_en)
        return m

    def _walk_heads(self, m, beats, may, ends, restart):
        """Walk over the head of a group, or of its next part, one beat a cycle."""
        places = range(HEAD_PLACES * self._params.sub_tiles)
        head = _Head(Signal(), Signal(), Signal(range(HEAD_PLACES)), Signal(places))
        m.d.comb += head.turn.eq(may & ~head.done)
        with m.If(ends | restart):
            m.d.sync += [head.number.eq(0), head.done.eq(0)]
        with m.Elif(head.turn):
            m.d.sync += [head.number.eq(head.number + 1), head.done.eq(head.number == beats - 1)]
        with m.If(restart):
            m.d.sync += head.place.eq(0)
        with m.Elif(head.turn):
            m.d.sync += head.place.eq(head.place + 1)
        return head

    def _array_free(self, m, last, ends):
        """Tell whether the item at hand may end its group as far as the crossbars' lanes know."""
        block = Signal(range(self._params.shared))
        fills = last | (block == self._params.shared - 1)
        with m.If(self.start):
            m.d.sync += block.eq(0)
        with m.Elif(ends):
            m.d.sync += block.eq(Mux(fills, 0, block + 1))
        return ~fills | self._free(m, ends & fills, array_interval(self._params.crossbar))

    def _free(self, m, ends, interval):
        """Tell whether so many cycles have passed."""
        wait, free = Signal(range(interval)), Signal(init=1)
        with m.If(ends):
            m.d.sync += [wait.eq(interval - 1), free.eq(0)]
        with m.Elif(~free):
            m.d.sync += [wait.eq(wait - 1), free.eq(wait == 1)]
        return free

    def _count(self, m, counter, amount):
        more = Signal.like(amount, name=f"more_{counter.name}")
        m.d.sync += [more.eq(amount), counter.eq(Mux(self.start, 0, counter + more))]

    def _delay(self, m, command):
        """Let the command travel beside its memory read."""
        for stage in range(MEMORY_LATENCY):
            later = Signal.like(command, name=f"command_{stage + 1}")
            m.d.sync += later.eq(command)
            command = later
        m.d.comb += self.beat.eq(command)
