"""Keeps the events of an encoded vector, and replays them for every tile of outputs."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.encode import event_sorter
from hw.encode.block_summary import summary_layout
from hw.encode.digits import LARGEST
from hw.encode.event import event_layout
from hw.integrate.fault import CODE, fault_layout
from hw.memory import NO_COLLISIONS
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


def fired_layout(params: CoreParams) -> data.StructLayout:
    """One event: a ``row`` and its ``code`` v - m for ``mac``, a digit in time for ``spike``."""
    if params.integrator == "spike":
        return event_sorter.fired_layout()
    return data.StructLayout({"row": range(BLOCK), "code": signed(params.code_width)})


def replay_layout(params: CoreParams) -> data.StructLayout:
    """One event and its block: for ``mac`` what leaves the encoder, for ``spike`` the raw event.

    The ``spike`` members are those of :func:`hw.encode.event_sorter.fired_layout`, and of ``mac``
    except ``code``.
    """
    if params.integrator == "mac":
        return event_layout(params)
    block = {
        "mantissa": 2,
        "shift": 4,
        "code_sum": signed(params.code_sum_width),
    }
    flags = dict.fromkeys(("coarse", "negative", "empty", "last", "last_block"), 1)
    return data.StructLayout({"row": range(BLOCK), "level": range(LARGEST + 1)} | flags | block)


class EventMemory(wiring.Component):
    """Event memory of several vectors, at one event per input, or two of them for ``spike``.

    A replay streams some of them for every tile: each block of the first, of the second and so on,
    and every one of these as often as a tile has parts; one item a cycle as long as they are taken,
    without gaps. Meanwhile others may be stored. The first item is offered 3 cycles after
    ``replay``. The first tile may chase the encoder: a block of the vector that is being stored is
    offered 4 cycles after ``complete`` at the earliest.

    Parameters
    ----------
    params : CoreParams
        Parameters of the core.

    Members
    -------
    vector : In
        Number of the vector that is stored.
    clear : In(1)
        Forgets that vector.
    storing : In(1)
        It is being stored, from the cycle after ``clear`` on until all its blocks are.
    fired : In(stream)
        Events in order, block after block; always ready.
    header : In(stream)
        One per block, see :func:`hw.encode.block_summary.summary_layout`; always ready.
    complete : In(1)
        One more block is stored, header and events, this cycle's included; pulses.
    completed : Out
        Blocks that have been stored since ``clear``.
    fault : In(struct)
        Fault to inject into the codes (``spike``: levels) that are written; see
        :func:`hw.integrate.fault.fault_layout`.
    replay : In(1)
        Starts a replay; earlier ones must have ended. Not together with ``clear``.
    first, final : In
        Numbers of the vectors from which and up to which it goes; stable to its end.
    blocks : In
        Blocks of each of them; as stable.
    tiles : In(16)
        How often it streams the vectors, at least once; read with ``replay``.
    events : Out(stream)
        See :func:`replay_layout`.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        self._depth = params.max_inputs * (2 if params.integrator == "spike" else 1)
        super().__init__(
            {
                **dict.fromkeys(("vector", "first", "final"), In(range(params.batch))),
                "clear": In(1),
                "storing": In(1),
                "fired": In(stream.Signature(fired_layout(params), always_ready=True)),
                "header": In(stream.Signature(summary_layout(), always_ready=True)),
                "complete": In(1),
                "completed": Out(range(params.max_blocks + 1)),
                "blocks": In(range(params.max_blocks + 1)),
                "fault": In(fault_layout()),
                "replay": In(1),
                "tiles": In(16, init=1),
                "events": Out(stream.Signature(replay_layout(params))),
            }
        )

    def elaborate(self, platform):
        """Write with faults; walk the headers; fetch the events; offer them."""
        m = Module()
        params = self.params
        m.submodules.events = events = Memory(
            shape=fired_layout(params),
            depth=params.batch * self._depth,
            init=[],
            attrs=NO_COLLISIONS,
        )
        m.submodules.headers = headers = Memory(
            shape=self._header_layout(), depth=params.max_blocks << len(self.vector), init=[]
        )
        domain = "comb" if params.batch == 1 else "sync"
        self._write(m, events.write_port(), headers.write_port())
        self._replay(m, events.read_port(), headers.read_port(domain=domain))
        return m

    def _header_layout(self):
        """Return what is kept of a block: of a batch also where its events are."""
        members = dict(summary_layout().members)
        if self.params.batch > 1:
            members["start"] = range(self.params.batch * self._depth)
        return data.StructLayout(members)

    def _write(self, m: Module, event, header):
        fired = Signal(range(self._depth + 1))
        headers = Signal(range(self.params.max_blocks))
        faulty = "level" if self.params.integrator == "spike" else "code"
        width = len(event.data[faulty])
        flip = Signal(width)
        hit = (self.fault.kind == CODE) & (self.fault.index == fired)
        m.d.comb += [
            flip.eq(Array(1 << bit % width for bit in range(1 << 6))[self.fault.bit]),
            event.addr.eq(fired),
            event.data.eq(self.fired.p),
            event.data[faulty].eq(self.fired.p[faulty] ^ Mux(hit, flip, 0)),
            event.en.eq(self.fired.valid),
            header.addr.eq(headers),
            header.data.eq(self.header.p),
            header.en.eq(self.header.valid),
        ]
        m.d.sync += [
            fired.eq(fired + self.fired.valid),
            headers.eq(headers + self.header.valid),
            self.completed.eq(self.completed + self.complete),
        ]
        with m.If(self.clear):
            m.d.sync += [fired.eq(0), headers.eq(0), self.completed.eq(0)]
        if self.params.batch > 1:
            self._place(m, event, header, fired, headers)

    def _place(self, m, event, header, fired, headers):
        """Give every vector of a batch a part of the memory, and every block its start there."""
        origin, start = Signal.like(event.addr), Signal.like(event.addr)
        m.d.comb += [
            event.addr.eq(origin + fired),
            header.addr.eq(Cat(self.vector, headers)),
            header.data.start.eq(start),
        ]
        m.d.sync += origin.eq(self.vector * self._depth)
        with m.If(self.clear):
            m.d.sync += start.eq(origin)
        with m.Elif(self.header.valid):
            m.d.sync += start.eq(start + self.header.p.count)

    def _replay(self, m: Module, event, header):
        fetching = Signal()
        advance, fetch = Signal(), Signal()  # the offer is taken; a place before it is free
        m.d.comb += [
            advance.eq(~self.events.valid | self.events.ready),
            fetch.eq(~fetching | advance),
        ]

        # Walk: one item a step; the header of the block after is always at hand.
        walking = Signal()
        block = Signal(summary_layout())
        item = Signal(replay_layout(self.params))
        address = Signal(range(self.params.batch * self._depth))
        following = Signal(range(self.params.max_blocks))  # the block after
        tiles, more = Signal(16), Signal()  # to be loaded; there are some that are not yet
        wrapped = Signal()  # one fewer: its last block was loaded in the cycle before
        part = Signal(range(self.params.sub_tiles))  # of the tile, for which a block is loaded
        last_part = part == self.params.sub_tiles - 1
        vector = Signal.like(self.vector)  # whose block is loaded
        start = Signal.like(address)  # the block's first event
        last_block = Signal()
        readable = Signal.like(self.completed)  # header and events have been written
        moves = last_part & (vector == self.final)  # to the block after
        stored = (following < readable) | ~self.storing | (vector != self.vector)
        step = walking & fetch
        free = ~walking | (step & item.last)
        final = following + 1 == self.blocks
        load = (self.replay | more) & free & stored
        wraps = load & final & moves
        final_tile = Mux(self.replay, self.tiles == 1, Mux(wrapped, tiles == 2, tiles == 1))
        m.d.comb += [
            item.empty.eq(block.count == 0),
            item.last.eq(block.count <= 1),
            item.last_block.eq(last_block),
            item.mantissa.eq(block.mantissa),
            item.shift.eq(block.shift),
            item.code_sum.eq(block.code_sum),
            header.addr.eq(following),
        ]
        if self.params.batch > 1:  # a memory with a register needs its address a cycle before
            upcoming, whose = Signal.like(following), Signal.like(vector)
            m.d.comb += [
                upcoming.eq(Mux(load & moves, Mux(final, 0, following + 1), following)),
                whose.eq(Mux(load & last_part, Mux(moves, self.first, vector + 1), vector)),
                header.addr.eq(Cat(whose, upcoming)),
            ]
            with m.If(~self.replay & ~more):
                m.d.comb += whose.eq(self.first)
            m.d.sync += vector.eq(whose)

        m.d.sync += [
            readable.eq(Mux(self.clear, 0, self.completed)),
            more.eq((self.replay | more) & ~(wraps & final_tile)),
            wrapped.eq(wraps),
            tiles.eq(Mux(self.replay, self.tiles, tiles - wrapped)),
        ]
        with m.If(step):
            m.d.sync += [block.count.eq(block.count - 1), address.eq(address + ~item.empty)]
        with m.If(free):
            m.d.sync += walking.eq(0)
        with m.If(load):
            begin = Mux(following == 0, 0, address + (step & ~item.empty))
            if self.params.batch > 1:
                begin = header.data.start
            m.d.sync += [
                walking.eq(1),
                following.eq(Mux(moves, Mux(final, 0, following + 1), following)),
                block.eq(header.data),
                last_block.eq(final),
                part.eq(part + 1),
                address.eq(Mux(part == 0, begin, start)),
            ]
            with m.If(part == 0):
                m.d.sync += start.eq(begin)

        # Fetch, then offer.
        fetched = Signal.like(item)
        m.d.comb += [event.addr.eq(address), event.en.eq(fetch)]
        with m.If(fetch):
            m.d.sync += [fetching.eq(walking), fetched.eq(item)]
        with m.If(advance):
            m.d.sync += [
                self.events.valid.eq(fetching),
                self.events.payload.eq(fetched),
                *(self.events.p[name].eq(event.data[name]) for name in event.data.shape().members),
            ]
