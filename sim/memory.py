"""Timing of the memory behind a simulated core."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.errors import UserError

#: Short names of memories.
PRESETS: dict[str, dict[str, int]] = {
    # A beat in every cycle.
    "ideal": {},
    # DDR behind a controller: bursts of 64 bytes, 30 cycles of latency.
    "dram": {"latency": 30, "granule": 64},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """A DRAM and its controller, as an AXI4 manager sees them; answers come in order.

    All times are in clock cycles of the core. The default is a memory that gives a beat in every
    cycle.

    Attributes
    ----------
    latency : int
        From an address to its first beat, at least 1.
    beat_interval : int
        From a beat to the next, at least 1.
    granule : int
        Bytes of a DRAM burst. A bus burst takes the time of all granules that it touches.
    address_cost : int
        From an address to the next, at least 1.
    page : int
        Bytes of a DRAM row, of which one is open.
    row_miss : int
        Added where a beat lies in another row than the one before.
    jitter : int
        Up to so much is added to every latency and address, and to one beat in eight.
    seed : int
        Of the jitter.

    Raises
    ------
    ValueError
        If a time or size makes no sense.
    """

    latency: int = 1
    beat_interval: int = 1
    granule: int = 1
    address_cost: int = 1
    page: int = 2048
    row_miss: int = 0
    jitter: int = 0
    seed: int = 0

    def __post_init__(self):
        """Check the ranges."""
        for name in ("latency", "beat_interval", "address_cost"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 cycle, not {getattr(self, name)}")
        for name in ("granule", "page"):
            size = getattr(self, name)
            if size < 1 or size & (size - 1):
                raise ValueError(f"{name} must be a power of two of bytes, not {size}")
        for name in ("row_miss", "jitter", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")

    @classmethod
    def parse(cls, text: str) -> MemoryModel:
        """Model that a person names: a preset, or ``latency=30,granule=64``, or both.

        Raises
        ------
        UserError
            If a name or a number makes no sense.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        values: dict[str, int] = {}
        for part in text.split(","):
            name, equals, number = part.partition("=")
            if part in PRESETS:
                values |= PRESETS[part]
            elif equals and name in names and number.isdecimal():
                values[name] = int(number)
            else:
                raise UserError(
                    f"a memory is {', '.join(PRESETS)} or name=number with a name of "
                    f"{', '.join(names)}, not {part!r}; e.g. latency=30,granule=64"
                )
        try:
            return cls(**values)
        except ValueError as error:
            raise UserError(f"memory: {error}") from error

    def pack(self, *, size: int, beat: int) -> np.ndarray:
        """Parameters as ``verilated_memory.h`` takes them, for ``size`` bytes, uint64."""
        return np.array([size, beat, *dataclasses.astuple(self)], np.uint64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryCounts:
    """What the memory itself counted since the core was opened.

    Attributes
    ----------
    bursts, beats : int
        Addresses and beats that were transferred.
    row_misses : int
        Beats in another DRAM row than the one before.
    waiting : int
        Cycles in which something had been asked for and no beat was offered.
    errors : int
        Beats, and bursts of writes, that were answered with an error.
    violations : int
        Bursts that break a rule of AXI4.
    writes : int
        Beats that were written.
    """

    bursts: int
    beats: int
    row_misses: int
    waiting: int
    errors: int
    violations: int
    writes: int
