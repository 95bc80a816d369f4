"""The way of bytes to device memory while the core computes, and what it takes."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import numpy as np

from sw.driver.transport import Transport
from sw.errors import UserError

#: Clock cycles of a piece: so often the driver looks whether the core has ended.
_PIECE_CYCLES = 256

#: Bytes in a clock cycle that are as good as no time.
_FASTEST = 1 << 32


def check_speed(speed: float) -> None:
    """Refuse a link that never carries a byte, or more than any memory has.

    Raises
    ------
    UserError
        The message says what can be.
    """
    if not 1 / _PIECE_CYCLES <= speed <= _FASTEST:
        raise UserError(
            f"a link must carry 1/{_PIECE_CYCLES} to {_FASTEST} bytes in a clock cycle, not "
            f"{speed:g}; e.g. 4"
        )


class Link:
    """Writes to device memory, piece by piece, as fast as a link carries them.

    The time that a piece takes passes before its bytes are there. Writes take nothing of the
    bandwidth that the core sees.

    Parameters
    ----------
    transport : Transport
        How to reach the core and its memory.
    speed : float
        Bytes in a clock cycle of the core.

    Raises
    ------
    UserError
        As :func:`check_speed`.
    """

    def __init__(self, transport: Transport, speed: float):
        check_speed(speed)
        self._transport, self._speed = transport, Fraction(speed)
        self._waiting: deque[tuple[int, np.ndarray]] = deque()
        self._owed = Fraction(0)  # clock cycles, less than one between pieces

    @property
    def idle(self) -> bool:
        """Whether everything has arrived."""
        return not self._waiting

    def send(self, address: int, octets: np.ndarray) -> None:
        """Ask for bytes to be written from an address on."""
        size = int(self._speed * _PIECE_CYCLES)
        for first in range(0, len(octets), size):
            self._waiting.append((address + first, octets[first : first + size]))

    def forget(self) -> None:
        """Send nothing of what has been asked for and has not arrived."""
        self._waiting.clear()

    def carry(self) -> int:
        """Carry one piece; return the clock cycles that it took."""
        address, octets = self._waiting.popleft()
        self._owed += len(octets) / self._speed
        cycles = int(self._owed)
        self._owed -= cycles
        self._transport.tick(cycles)
        self._transport.load(address, octets)
        return cycles
