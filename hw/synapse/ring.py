"""Ring of weight groups: filled in address order, read in time order."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams
from hw.synapse.block_ram import BlockRAM
from hw.synapse.port import GROUP_PLACES, ReadSignature


class Ring(wiring.Component):
    """Slots for ``ring_groups`` groups; groups are claimed, completed, read and freed in order.

    Parameters
    ----------
    params : CoreParams
        The core's parameters.

    Attributes
    ----------
    free : Out(1)
        A slot can be claimed.
    claim : In(1)
        Claims a slot; pulses.
    write : In(1)
        Store ``data`` at ``place`` of the oldest group that is not complete.
    place : In
        Place of the beat in its group.
    data : In
        The beat.
    complete : In(1)
        With ``write``: this beat is the group's last.
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
                "place": In(range(GROUP_PLACES)),
                "data": In(params.beat_bits),
                "complete": In(1),
                "read": In(ReadSignature(params)),
            }
        )

    def elaborate(self, platform):
        """Keep the slots' numbers, and how many are claimed, and complete but not yet read."""
        m = Module()
        slots = self._params.ring_groups
        m.submodules.beats = beats = BlockRAM(
            width=self._params.beat_bits, depth=slots * GROUP_PLACES
        )
        filling, following, present = (Signal(range(slots)) for _ in range(3))
        begun = Signal()  # there is a present group
        claimed, complete = Signal(range(slots + 1)), Signal(range(slots + 1))
        finished = self.write & self.complete
        moves = self.read.next

        m.d.comb += [
            self.free.eq(claimed != slots),
            self.read.ready.eq(complete > moves),
            beats.write_en.eq(self.write),
            beats.write_address.eq(Cat(self.place, filling)),
            beats.write_data.eq(self.data),
            beats.read_en.eq(self.read.en),
            beats.read_address.eq(Cat(self.read.place, Mux(moves, following, present))),
        ]
        m.d.sync += [
            self.read.data.eq(beats.read_data),
            claimed.eq(claimed + self.claim - (moves & begun)),
            complete.eq(complete + finished - moves),
        ]
        for slot, advances in ((filling, finished), (following, moves)):
            with m.If(advances):
                m.d.sync += slot.eq(Mux(slot == slots - 1, 0, slot + 1))
        with m.If(moves):
            m.d.sync += [present.eq(following), begun.eq(1)]
        return m
