"""A KEEP: bytes that wait for the responses of those before."""

from __future__ import annotations

from hw.spec.token_cycles import keep_cycles

#: Writes that may wait for their response, and cycles that each takes beside the memory's latency.
_OUTSTANDING = 8
_RESPONSE = 2


def store_cycles(count: int, octets: int, *, latency: int) -> int:
    """Cycles of a KEEP of ``count`` words, which become so many bytes, until all are in memory."""
    first = keep_cycles(count, 0)
    sent: list[int] = []
    for octet in range(octets):
        room = sent[octet - _OUTSTANDING] + latency + _RESPONSE if octet >= _OUTSTANDING else 0
        sent.append(max(first if octet == 0 else sent[-1] + 1, room))
    return sent[-1] + latency + _RESPONSE
