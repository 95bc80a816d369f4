"""Landing: the end of a pipeline that never waits, before one that may."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

#: Items that may be on their way or wait: those of the way to the target and of its news back.
PLACES = 6


class Landing(wiring.Component):
    """Passes a stream on one cycle later; says long before whether there will be room.

    So that nothing before it needs to know in the same cycle whether the target takes an item.

    Parameters
    ----------
    shape : ShapeLike
        Payload.

    Members
    -------
    room : Out(1)
        An item may be sent on its way; a register.
    sent : In(1)
        One is; only with ``room``. It comes to ``source`` in the next cycle.
    source : In(stream)
        What comes; always ready.
    target : Out(stream)
        What leaves; registers.
    """

    def __init__(self, shape):
        super().__init__(
            {
                "room": Out(1, init=1),
                "sent": In(1),
                "source": In(stream.Signature(shape, always_ready=True)),
                "target": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        """Keep what the target does not take; count places, a cycle after they are left."""
        m = Module()
        source, target = self.source, self.target
        m.submodules.kept = kept = Memory(shape=source.payload.shape(), depth=8, init=[])
        write, read = kept.write_port(), kept.read_port(domain="comb")
        first, behind = Signal(3), Signal(3)  # item, and place, in the memory
        some = Signal()  # there are items
        second = Signal.like(first)
        takes, keeps, gives = Signal(), Signal(), Signal()
        m.d.comb += [
            second.eq(first + 1),
            takes.eq(target.ready | ~target.valid),
            keeps.eq(source.valid & (some | ~takes)),
            gives.eq(some & takes),
            write.addr.eq(behind),
            write.data.eq(source.payload),
            write.en.eq(keeps),
            read.addr.eq(first),
        ]
        m.d.sync += [
            first.eq(Mux(gives, second, first)),
            behind.eq(behind + keeps),
            some.eq(keeps | (some & ~(gives & (second == behind)))),
        ]
        with m.If(takes):
            m.d.sync += [
                target.valid.eq(some | source.valid),
                target.payload.eq(Mux(some, read.data, source.payload)),
            ]

        left, places = Signal(), Signal(range(PLACES + 1), init=PLACES)
        free = Signal.like(places)
        m.d.comb += free.eq(places - self.sent + left)
        m.d.sync += [
            left.eq(target.valid & target.ready),
            places.eq(free),
            self.room.eq(free != 0),
        ]
        return m
