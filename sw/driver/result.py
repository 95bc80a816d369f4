"""What an instruction left behind, or why the core refused it."""

from __future__ import annotations

import dataclasses

import numpy as np


class DeviceError(RuntimeError):
    """The core refused an instruction that the driver made; a defect, not a user's mistake."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a matrix-vector product left behind.

    Attributes
    ----------
    accumulators : numpy.ndarray
        int64, one per output.
    base : int
        Base exponent E of the encoded vector.
    counters : dict of str to int
        Every counter of ``hw/spec/registers.py``.
    """

    accumulators: np.ndarray
    base: int
    counters: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What the products of several vectors by one matrix left behind.

    Attributes
    ----------
    accumulators : numpy.ndarray
        int64, shape (vectors, outputs).
    bases : tuple of int
        Base exponent E of each vector.
    counters : dict of str to int
        Every counter of ``hw/spec/registers.py``, summed up.
    """

    accumulators: np.ndarray
    bases: tuple[int, ...]
    counters: dict[str, int]
