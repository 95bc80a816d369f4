"""Read port of the synapse array."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams

#: Most beats of a group's head: its scales and row sums.
HEAD_PLACES = 8


def ReadSignature(params: CoreParams) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """Read port for one beat a cycle, group after group; within a group in any order.

    A group has ``sub_tiles`` heads, and so many beats a row.

    The beats of a group's head have a port of their own where memory is external; on chip the two
    must not be read in one cycle.

    Members
    -------
    next : Out(1)
        From this cycle on the next group is read; the group before is given up.
    ready : In(1)
        The next group can be read from the next cycle on.
    en : Out(1)
        Read a row in this cycle.
    place : Out
        Its number among the beats of the group's rows.
    head_en : Out(1)
        Read a beat of the head in this cycle.
    head_place : Out
        Its number in the heads.
    address : Out
        Beat address of what is read on chip.
    data, head_data : In(4 * lanes)
        The beats, :data:`hw.spec.cycles.MEMORY_LATENCY` cycles later.
    """
    return wiring.Signature(
        {
            "next": Out(1),
            "ready": In(1, init=1),
            "en": Out(1),
            "place": Out(range(BLOCK * params.sub_tiles)),
            "head_en": Out(1),
            "head_place": Out(range(HEAD_PLACES * params.sub_tiles)),
            "address": Out(range(params.memory_beats)),
            "data": In(params.beat_bits),
            "head_data": In(params.beat_bits),
        }
    )
