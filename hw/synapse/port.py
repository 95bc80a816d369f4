"""Read port of the synapse array."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreParams


def ReadSignature(params: CoreParams) -> wiring.Signature:  # noqa: N802 - reads as a signature
    """Read port for one beat a cycle.

    Members
    -------
    en : Out(1)
        Read in this cycle.
    address : Out
        Beat address.
    data : In(4 * lanes)
        The beat, :data:`hw.spec.cycles.MEMORY_LATENCY` cycles later.
    """
    return wiring.Signature(
        {
            "en": Out(1),
            "address": Out(range(params.memory_beats)),
            "data": In(params.beat_bits),
        }
    )
