"""What a transport must offer so that the driver can reach a core through it."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np


class Transport(abc.ABC):
    """Access to the registers of one core.

    Addresses are byte addresses of ``hw/spec/registers.py``; words have 32 bits.

    Attributes
    ----------
    build_seconds : float
        Time that it took to make the core, where it is a simulation.
    """

    build_seconds = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def write(self, address: int, value: int) -> None:
        """Write one register."""
        self.write_window(address, np.array([value & 0xFFFFFFFF], np.uint32))

    def read(self, address: int) -> int:
        """Read one register."""
        return int(self.read_window(address, 1)[0])

    def read_all(self, addresses: Sequence[int]) -> list[int]:
        """Read several registers, in order."""
        return [self.read(address) for address in addresses]

    @abc.abstractmethod
    def write_window(self, address: int, words: np.ndarray) -> None:
        """Write uint32 words to a register or data window, one after the other."""

    @abc.abstractmethod
    def read_window(self, address: int, count: int) -> np.ndarray:
        """Read ``count`` uint32 words from a register or data window."""

    @abc.abstractmethod
    def wait(self, address: int, mask: int, value: int, max_cycles: int) -> None:
        """Poll a register until ``register & mask == value``.

        Raises
        ------
        TimeoutError
            If that has not happened after ``max_cycles`` clock cycles; the message says what was
            waited for.
        """

    @abc.abstractmethod
    def load(self, address: int, octets: np.ndarray) -> None:
        """Write bytes of external memory from a byte address on; only for cores that have it."""

    @abc.abstractmethod
    def dump(self, address: int, count: int) -> np.ndarray:
        """Read ``count`` bytes of external memory, uint8."""

    @property
    @abc.abstractmethod
    def cycles(self) -> int:
        """Clock cycles that have passed; 0 where they are not simulated."""

    @abc.abstractmethod
    def tick(self, count: int) -> None:
        """Let clock cycles pass, where they are simulated."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the core."""
