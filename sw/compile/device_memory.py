"""Hands out device memory and collects what lies there."""

from __future__ import annotations

import numpy as np

from sw.errors import UserError

#: Bytes that 32-bit addresses reach.
SPACE = 1 << 32

#: Every part begins at a multiple: the widest bus beat and the widest beat of a core, in bytes.
ALIGNMENT = 128


class DeviceMemory:
    """An image of device memory, or of its part behind an address, that grows at its end.

    Parameters
    ----------
    start : int
        Byte address where it begins, a multiple of :data:`ALIGNMENT`.

    Attributes
    ----------
    size : int
        Byte address where it ends, a multiple of :data:`ALIGNMENT`.
    """

    def __init__(self, start: int = 0) -> None:
        self.size = start
        self._parts: list[np.ndarray] = []

    def place(self, content: np.ndarray) -> int:
        """Append an array as it lies in this machine's memory; return its byte address.

        Raises
        ------
        UserError
            If addresses do not reach so far.
        """
        address = self.size
        if address + content.nbytes > SPACE:
            raise UserError(
                "model and caches need more than the 4 GiB that a core can address; shorten the "
                "context or choose a smaller model"
            )
        octets = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        padding = np.zeros(-len(octets) % ALIGNMENT, np.uint8)
        self._parts += [octets, padding]
        self.size += len(octets) + len(padding)
        return address

    def image(self) -> np.ndarray:
        """Return everything, uint8, shape (size - start,)."""
        return np.concatenate(self._parts)
