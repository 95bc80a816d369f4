"""Keeps the events of an encoded vector, and replays them for every tile of outputs."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.encode import event_sorter
from hw.encode.block_summary import summary_layout
from hw.encode.digits import LARGEST
from hw.encode.event import event_layout
from hw.encode.landing import Landing
from hw.integrate.fault import CODE, fault_layout
from hw.memory import ColumnMemory
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
        Numbers of the vectors from which and up to which it goes; stable from three cycles before
        ``replay`` to its end.
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
        m.submodules.events = events = ColumnMemory(
            shape=fired_layout(params), depth=params.batch * self._depth
        )
        m.submodules.headers = headers = Memory(
            shape=self._header_layout(), depth=params.max_blocks << len(self.vector), init=[]
        )
        domain = "comb" if params.batch == 1 else "sync"
        self._write(m, events.write, headers.write_port())
        self._replay(m, events.read, headers.read_port(domain=domain))
        return m

    def _header_layout(self):
        """Return what is kept of a block: of a batch also where its events are.

        Comparing its ``count`` would be late behind the memory, so that it tells ``single``: there
        is one event at most.
        """
        members = {**summary_layout().members, "single": 1}
        if self.params.batch > 1:
            members["start"] = range(self.params.batch * self._depth)
        return data.StructLayout(members)

    def _write(self, m: Module, event, header):
        fired = Signal(range(self._depth + 1))
        headers = Signal(range(self.params.max_blocks))
        faulty = "level" if self.params.integrator == "spike" else "code"
        width = len(event.data[faulty])
        flip = Signal(width)
        hit, following = Signal(), Signal.like(fired)
        # Block RAMs are far from what fires; a block is complete later than this.
        written = Signal.like(event.data, reset_less=True)
        m.d.comb += event.data.eq(written)
        m.d.sync += [
            written.eq(self.fired.p),
            written[faulty].eq(self.fired.p[faulty] ^ Mux(hit, flip, 0)),
            event.addr.eq(fired),
            event.en.eq(self.fired.valid),
        ]
        m.d.comb += [
            flip.eq(Array(1 << bit % width for bit in range(1 << 6))[self.fault.bit]),
            header.addr.eq(headers),
            *(header.data[name].eq(self.header.p[name]) for name in summary_layout().members),
            header.data.single.eq(self.header.p.count <= 1),
            header.en.eq(self.header.valid),
        ]
        m.d.comb += following.eq(Mux(self.clear, 0, fired + self.fired.valid))
        m.d.sync += [
            fired.eq(following),
            hit.eq((self.fault.kind == CODE) & (self.fault.index == following)),
            headers.eq(headers + self.header.valid),
            self.completed.eq(self.completed + self.complete),
        ]
        with m.If(self.clear):
            m.d.sync += [headers.eq(0), self.completed.eq(0)]
        if self.params.batch > 1:
            self._place(m, event, header, headers)

    def _place(self, m, event, header, headers):
        """Give every vector of a batch a part of the memory, and every block its start there."""
        origin, start, place = (
            Signal.like(event.addr, name=name) for name in ("origin", "start", "place")
        )
        m.d.sync += event.addr.eq(place)
        m.d.comb += [
            header.addr.eq(Cat(self.vector, headers)),
            header.data.start.eq(start),
        ]
        m.d.sync += origin.eq(self.vector * self._depth)
        with m.If(self.clear):
            m.d.sync += [start.eq(origin), place.eq(origin)]
        with m.Else():
            m.d.sync += place.eq(place + self.fired.valid)
            with m.If(self.header.valid):
                m.d.sync += start.eq(start + self.header.p.count)

    def _replay(self, m: Module, event, header):
        m.submodules.landing = landing = Landing(replay_layout(self.params))
        connect(m, landing.target, flipped(self.events))

        # Walk: one item a step; the header of the block after is always at hand.
        walking, more = Signal(), Signal()  # of more blocks some are not loaded yet
        load = Signal()
        at, after = self._turns(m, load, idle=~self.replay & ~more)
        block, last_item = Signal(summary_layout()), Signal()
        item = Signal(replay_layout(self.params))
        address = Signal(range(self.params.batch * self._depth))
        tiles = Signal(16)  # to be loaded
        wrapped = Signal()  # one fewer: its last block was loaded in the cycle before
        start = Signal.like(address)  # the block's first event
        last_block = Signal()
        readable = Signal.like(self.completed)  # header and events have been written
        elsewhere = Signal()  # what is being stored is another vector
        stored = (at.block < readable) | ~self.storing | elsewhere
        step = walking & landing.room
        free = ~walking | (step & item.last)
        wraps = load & at.final & at.moves
        final_tile = Mux(self.replay, self.tiles == 1, Mux(wrapped, tiles == 2, tiles == 1))
        m.d.comb += [
            load.eq((self.replay | more) & free & stored),
            item.empty.eq(block.count == 0),
            item.last.eq(last_item),
            item.last_block.eq(last_block),
            item.mantissa.eq(block.mantissa),
            item.shift.eq(block.shift),
            item.code_sum.eq(block.code_sum),
            header.addr.eq(at.block),
        ]
        if self.params.batch > 1:  # a memory with a register needs its address a cycle before
            m.d.comb += header.addr.eq(
                Mux(load, Cat(after.vector, after.block), Cat(at.vector, at.block))
            )
        m.d.sync += [
            readable.eq(Mux(self.clear, 0, self.completed)),
            elsewhere.eq(Mux(load, after.vector, at.vector) != self.vector),
            more.eq((self.replay | more) & ~(wraps & final_tile)),
            wrapped.eq(wraps),
            tiles.eq(Mux(self.replay, self.tiles, tiles - wrapped)),
        ]
        with m.If(step):
            m.d.sync += [block.count.eq(block.count - 1), last_item.eq(block.count == 2)]
        with m.If(free):
            m.d.sync += walking.eq(0)
        with m.If(load):
            m.d.sync += [
                walking.eq(1),
                *(block[name].eq(header.data[name]) for name in block.shape().members),
                last_item.eq(header.data.single),
                last_block.eq(at.final),
            ]

        # A header comes too late for more than to be held: where its events begin is used then.
        begins, begin = Signal(), Signal.like(address, reset_less=True)
        begun, current = Signal.like(address), Signal.like(address)
        following = Signal.like(address)
        if self.params.batch > 1:
            m.d.sync += begin.eq(header.data.start)
        else:
            m.d.sync += begin.eq(Mux(at.block == 0, 0, following))
        m.d.comb += [
            current.eq(Mux(begins, begin, address)),
            begun.eq(Mux(begins, begin, start)),
            following.eq(current + (step & ~item.empty)),
        ]
        m.d.sync += [
            begins.eq(load & (at.part == 0)),
            start.eq(begun),
            address.eq(Mux(load & (at.part != 0), begun, following)),
        ]

        # Fetch; events and blocks land together.
        fetched = Signal.like(item)
        m.d.comb += [
            event.addr.eq(current),
            landing.sent.eq(step),
            landing.source.payload.eq(fetched),
            *(landing.source.p[name].eq(event.data[name]) for name in event.data.shape().members),
        ]
        m.d.sync += [landing.source.valid.eq(step), fetched.eq(item)]

    def _turns(self, m: Module, load, *, idle):
        """Say which block is to be loaded, and which after it.

        Both are registers with a ``block`` of a ``vector`` for a ``part`` of the tile, whether it
        is the ``final`` block, and whether another block follows, which ``moves``: ``load`` is
        known so late that nothing is left to be found then.
        """
        parts = self.params.sub_tiles
        shape = data.StructLayout(
            {
                "block": range(self.params.max_blocks),
                "vector": range(self.params.batch),
                "part": range(parts),
                **dict.fromkeys(("final", "moves"), 1),
            }
        )
        at, after, begin = (Signal(shape, name=name) for name in ("at", "after", "begin"))

        def judge(turn):
            return [
                turn.final.eq(turn.block + 1 == self.blocks),
                turn.moves.eq((turn.part == parts - 1) & (turn.vector == self.final)),
            ]

        def follow(turn, name):
            following = Signal(shape, name=name)
            last_part = turn.part == parts - 1
            m.d.comb += [
                following.part.eq(Mux(last_part, 0, turn.part + 1)),
                following.vector.eq(
                    Mux(last_part, Mux(turn.moves, self.first, turn.vector + 1), turn.vector)
                ),
                following.block.eq(Mux(turn.moves, Mux(turn.final, 0, turn.block + 1), turn.block)),
                *judge(following),
            ]
            return following

        m.d.comb += [begin.vector.eq(self.first), *judge(begin)]
        second, third = follow(at, "second"), follow(after, "third")
        with m.If(load):
            m.d.sync += [at.eq(after), after.eq(third)]
        with m.Elif(idle):
            m.d.sync += [at.eq(begin), after.eq(second)]
        return at, after
