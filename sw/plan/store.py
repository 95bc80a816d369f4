"""A KEEP: bytes that wait for the responses of those before."""

from __future__ import annotations

from hw.spec.axi4 import WRITES
from hw.spec.token_cycles import keep_cycles

#: Cycles that a response takes beside the memory's latency.
_RESPONSE = 2


def store_cycles(count: int, octets: int, *, width: int, latency: int) -> int:
    """Cycles of a KEEP of ``count`` words, which become so many bytes, until all are in memory.

    It reads ``width`` words a cycle.
    """
    first = keep_cycles(count, 0, width)
    sent: list[int] = []
    for octet in range(octets):
        room = sent[octet - WRITES] + latency + _RESPONSE if octet >= WRITES else 0
        sent.append(max(first if octet == 0 else sent[-1] + 1, room))
    return sent[-1] + latency + _RESPONSE
