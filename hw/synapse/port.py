"""Read port of the synapse array."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams

#: Places that are set aside for the beats of a group: its scales and rows, rounded up.
GROUP_PLACES = 64


def ReadSignature(params: CoreParams) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """Read port for one beat a cycle, group after group; within a group in any order.

    Members
    -------
    en : Out(1)
        Read in this cycle.
    address : Out
        Beat address.
    place : Out
        The beat's place in its group: its address minus that of the group's first scale beat.
    next : Out(1)
        With ``en``: the first read of the next group; the group before is given up.
    ready : In(1)
        The next group can be read from the next cycle on.
    data : In(4 * lanes)
        The beat, :data:`hw.spec.cycles.MEMORY_LATENCY` cycles later.
    """
    return wiring.Signature(
        {
            "en": Out(1),
            "address": Out(range(params.memory_beats)),
            "place": Out(range(GROUP_PLACES)),
            "next": Out(1),
            "ready": In(1, init=1),
            "data": In(params.beat_bits),
        }
    )
