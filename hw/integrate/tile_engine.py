"""Tile engine: turns the replayed events into reads of synapse memory, one a cycle."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.encode.event import EventSignature
from hw.integrate.beat import SPIKE_FIELDS, beat_layout
from hw.spec.codes import BLOCK
from hw.spec.cycles import MEMORY_LATENCY, group_interval
from hw.spec.formats import SUM_BEATS, W4, W8
from hw.spec.params import CoreParams
from hw.synapse.port import ReadSignature


class TileEngine(wiring.Component):
    """For every tile: replays the vector, reads each group's scales and the rows that fire.

    Groups follow each other in memory, so addresses only ever run on. The item that hands a group
    over is taken only when the scaler will be free for its sums; behind that point nothing waits.
    With ``mac`` that item is the group's last, with ``spike`` the next group's first, or the flush
    at the vector's end. The next group's scales are read after it. A group is begun only when
    memory has all of it: with its scales, or with ``spike`` by the item that hands over, where a
    row fires in it.

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
    weight_base : In
        Beat address.
    wide : In(1)
        Weights have 8 bits.
    sums : In(1)
        Groups have row sums.
    replay : Out(1)
        Asks the encoder for all events once more; pulses.
    events : In(EventSignature)
        The vector's events.
    read : Out(ReadSignature)
        Synapse memory.
    beat : Out(beat_layout)
        Meaning of the beat that the memory gives in this cycle.
    rows_read, beats_read, stall_scaler, stall_memory : Out(32)
        Counters, cleared at ``start``.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "start": In(1),
                "tiles": In(16),
                "weight_base": In(range(params.memory_beats)),
                "wide": In(1),
                "sums": In(1),
                "replay": Out(1),
                "events": In(EventSignature(params)),
                "read": Out(ReadSignature(params)),
                "beat": Out(beat_layout(params)),
                "rows_read": Out(32),
                "beats_read": Out(32),
                "stall_scaler": Out(32),
                "stall_memory": Out(32),
            }
        )

    def elaborate(self, platform):
        """Issue one read a cycle: scales and row sums, then the rows that fire."""
        m = Module()
        event = self.events.payload
        address = Signal.like(self.weight_base)
        tiles = Signal(16)
        heads = range(W4.head_beats(sums=True))
        head, scales, last_head = Signal(heads), Signal(heads), Signal(heads)
        first = Signal()
        entered = Signal()  # a beat of this group has been read
        waits, starves = Signal(), Signal()
        command = Signal(beat_layout(self._params))

        spike = self._params.integrator == "spike"
        may_end = self._timer(m, ends := Signal())
        taken = self.events.valid & self.events.ready
        last = event.ends_group if spike else event.last
        m.d.comb += ends.eq(taken & last)
        m.d.sync += [
            scales.eq(Mux(self.wide, W8.scale_beats, W4.scale_beats)),
            last_head.eq(scales + Mux(self.sums, SUM_BEATS, 0) - 1),
            command.scale.eq(0),
            command.sums.eq(0),
            command.row.eq(0),
            self.read.en.eq(0),
            self.read.next.eq(0),
            self.replay.eq(0),
        ]

        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(self.weight_base),
                        tiles.eq(self.tiles),
                        head.eq(0),
                        first.eq(1),
                        entered.eq(0),
                        self.replay.eq(1),
                    ]
                    m.next = "head"

            with m.State("head"):
                unready = ~entered & ~self.read.ready
                m.d.comb += starves.eq(self.events.valid & unready)
                with m.If(~unready):
                    m.d.sync += [
                        command.scale.eq(head < scales),
                        command.sums.eq(head >= scales),
                        self.read.en.eq(1),
                        self.read.next.eq(~entered),
                        entered.eq(1),
                        self.read.address.eq(address),
                        self.read.place.eq(head),
                        address.eq(address + 1),
                        head.eq(head + 1),
                    ]
                    with m.If(head == last_head):
                        m.d.sync += head.eq(0)
                        m.next = "rows"

            with m.State("rows"):
                # An item that hands over may fire a row already, of the next group.
                enters = last & ~event.empty if spike else Const(0)
                waits_memory = enters & ~self.read.ready
                m.d.comb += [
                    self.events.ready.eq((may_end | ~last) & ~waits_memory),
                    waits.eq(self.events.valid & last & ~may_end),
                    starves.eq(self.events.valid & (may_end | ~last) & waits_memory),
                ]
                m.d.sync += [
                    self.read.address.eq(address + event.row),
                    self.read.place.eq(last_head + 1 + event.row),
                    self.read.en.eq(taken & ~event.empty),
                    self.read.next.eq(taken & enters),
                    command.row.eq(taken),
                    command.last.eq(last),
                    command.group.mantissa.eq(event.mantissa),
                    command.group.shift.eq(event.shift),
                    command.group.code_sum.eq(event.code_sum),
                    command.group.first.eq(first),
                    command.group.last.eq(event.last_block),
                ]
                if spike:
                    m.d.sync += [getattr(command, f).eq(getattr(event, f)) for f in SPIKE_FIELDS]
                    with m.If(last):
                        following = address + last_head + (BLOCK + 1)
                        m.d.sync += self.read.address.eq(following + event.row)
                else:
                    m.d.sync += command.code.eq(Mux(event.empty, 0, event.code))
                with m.If(ends):
                    m.d.sync += [
                        address.eq(address + BLOCK),
                        first.eq(event.last_block),
                        entered.eq(enters),
                    ]
                    m.next = "head"
                    with m.If(event.last_block):
                        m.d.sync += [tiles.eq(tiles - 1), self.replay.eq(tiles != 1)]
                        with m.If(tiles == 1):
                            m.next = "idle"

        self._count(m, self.stall_scaler, waits)
        self._count(m, self.stall_memory, starves)
        self._count(m, self.rows_read, command.row & self.read.en)
        self._count(m, self.beats_read, self.read.en)
        self._delay(m, command)
        return m

    def _timer(self, m, ends):
        """Tell when the event at hand may end its group."""
        interval = group_interval(self._params)
        wait = Signal(range(interval))
        with m.If(ends):
            m.d.sync += wait.eq(interval - 1)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        return wait == 0

    def _count(self, m, counter, condition):
        with m.If(self.start):
            m.d.sync += counter.eq(0)
        with m.Elif(condition):
            m.d.sync += counter.eq(counter + 1)

    def _delay(self, m, command):
        """Let the command travel beside its memory read."""
        for stage in range(MEMORY_LATENCY):
            later = Signal.like(command, name=f"command_{stage + 1}")
            m.d.sync += later.eq(command)
            command = later
        m.d.comb += self.beat.eq(command)
