"""Data window: a memory behind one register."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD = 32

#: Cycles from an address to what a read of it gives.
WINDOW_LATENCY = 4


def WindowSignature() -> wiring.Signature:  # noqa: N802 - reads as a signature
    """One word at a time, at the address of the window's address register.

    The address moves on by itself after an access that the memory allows; reads may follow each
    other in every cycle. It stands still for one cycle before a write.

    Members
    -------
    address : Out(32)
        The window's address register.
    write : Out(1)
        Write ``write_data``; pulses only while ``writable``.
    write_data : Out(32)
        The word.
    read_data : In(32)
        Word at the address of :data:`WINDOW_LATENCY` cycles before.
    readable, writable : In(1)
        The memory allows the access now; ``writable`` may come a cycle after the address.
    """
    return wiring.Signature(
        {
            "address": Out(WORD),
            "write": Out(1),
            "write_data": Out(WORD),
            "read_data": In(WORD),
            "readable": In(1),
            "writable": In(1),
        }
    )
