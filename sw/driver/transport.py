"""What a transport must offer so that the driver can reach a core through it."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Transport(Protocol):
    """Access to the registers of one core.

    Addresses are byte addresses of ``hw/spec/registers.py``; words have 32 bits.
    """

    def write(self, address: int, value: int) -> None:
        """Write one register."""

    def read(self, address: int) -> int:
        """Read one register."""

    def write_window(self, address: int, words: np.ndarray) -> None:
        """Write uint32 words to a data window, one after the other."""

    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read ``count`` uint32 words from a data window."""

    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Poll a register until ``register & mask == value``.

        Raises
        ------
        TimeoutError
            If that has not happened after ``max_cycles`` clock cycles; the message says what was
            waited for.
        """

    def load(self, address: int, octets: np.ndarray) -> None:
        """Write bytes of external memory from a byte address on; only for cores that have it."""

    def dump(self, address: int, count: int) -> np.ndarray:
        """Read ``count`` bytes of external memory, uint8."""

    def close(self) -> None:
        """Release the core."""
