"""Ring of weight groups: filled in address order, read in time order."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams
from hw.synapse.block_ram import BlockRAM
from hw.synapse.port import HEAD_PLACES, ReadSignature


class Ring(wiring.Component):
    """Slots for ``ring_groups`` groups; groups are claimed, completed, read and freed in order.

    Heads and rows lie in two memories, so that both can be read in one cycle.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    free : Out(1)
        A slot can be claimed; means nothing in the cycle after ``claim``.
    claim : In(1)
        Claims a slot; pulses.
    write : In(1)
        Store ``data`` in the oldest group that is not complete.
    head : In(1)
        It belongs to the group's heads.
    place : In
        Number of the beat in the group's heads, or in its rows.
    data : In
        The beat.
    complete : In(1)
        That group has all that it needs, with what is written in this cycle; pulses.
    read : In(ReadSignature)
        The core's reads, which may go on with the group after the present one once it is complete.
    """

    def __init__(self, params: CoreParams):
        self._params = params
        super().__init__(
            {
                "free": Out(1),
                "claim": In(1),
                "write": In(1),
                "head": In(1),
                "place": In(range(BLOCK * params.sub_tiles)),
                "data": In(params.beat_bits),
                "complete": In(1),
                "read": In(ReadSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Keep the slots' numbers, and how many are claimed, and complete but not yet read."""
        m = Module()
        slots, parts = self._params.ring_groups, self._params.sub_tiles
        width = self._params.beat_bits
        m.submodules.rows = rows = BlockRAM(width=width, depth=slots * parts * BLOCK)
        m.submodules.heads = heads = BlockRAM(width=width, depth=slots * parts * HEAD_PLACES)
        filling, following, present = (Signal(range(slots)) for _ in range(3))
        begun = Signal()  # there is a present group
        claimed, complete, still = (Signal(range(slots + 1)) for _ in range(3))
        some = Signal()  # groups that are complete
        moves = self.read.next
        reading = Mux(moves, following, present)

        m.d.comb += [
            still.eq(complete + self.complete - moves),
            self.read.ready.eq(some & ~moves),
            rows.write_en.eq(self.write & ~self.head),
            rows.write_address.eq(Cat(self.place, filling)),
            rows.write_data.eq(self.data),
            rows.read_en.eq(self.read.en),
            rows.read_address.eq(Cat(self.read.place, reading)),
            heads.write_en.eq(self.write & self.head),
            heads.write_address.eq(Cat(self.place[: len(self.read.head_place)], filling)),
            heads.write_data.eq(self.data),
            heads.read_en.eq(self.read.head_en),
            heads.read_address.eq(Cat(self.read.head_place, reading)),
        ]
        m.d.sync += [
            self.read.data.eq(rows.read_data),
            self.read.head_data.eq(heads.read_data),
            self.free.eq(claimed != slots),
            claimed.eq(claimed + self.claim - (moves & begun)),
            complete.eq(still),
            some.eq(still != 0),
        ]
        for slot, advances in ((filling, self.complete), (following, moves)):
            with m.If(advances):
                m.d.sync += slot.eq(Mux(slot == slots - 1, 0, slot + 1))
        with m.If(moves):
            m.d.sync += [present.eq(following), begun.eq(1)]
        return m
