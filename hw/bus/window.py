"""Data window: a memory behind one register."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD = 32

#: Cycles after a change of the address until a window's other members are right.
WINDOW_LATENCY = 4


def WindowSignature() -> wiring.Signature:  # noqa: N802 - reads as a signature
    """One word at a time, at the address of the window's address register.

    The address stands still for :data:`WINDOW_LATENCY` cycles before a read and for one before a
    write; it moves on by itself after an access that the memory allows.

    Members
    -------
    address : Out(32)
        The window's address register.
    write : Out(1)
        Write ``write_data``; pulses only while ``writable``.
    write_data : Out(32)
        The word.
    read_data : In(32)
        Word at ``address``.
    readable, writable : In(1)
        The memory allows the access.
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
