"""What a token costs."""

from __future__ import annotations

import dataclasses
from collections import defaultdict


@dataclasses.dataclass(kw_only=True)
class Kind:
    """Instructions of one kind.

    Attributes
    ----------
    count : int
        How many there are.
    cycles : int
        Cycles in which the core waits for them.
    busy : int
        Cycles in which they run, beside others or not.
    octets : int
        Bytes that they read.
    """

    count: int = 0
    cycles: int = 0
    busy: int = 0
    octets: int = 0


@dataclasses.dataclass(kw_only=True)
class TokenCost:
    """Cost of a token.

    Attributes
    ----------
    cycles : int
        Clock cycles: the register ``token_cycles``.
    kinds : dict of str to Kind
        Their cycles add up to ``cycles``: see :func:`sw.plan.path.waited`.
    stalls : dict of str to int
        The counters ``stall_encoder``, ``stall_scaler`` and ``stall_memory``.
    octets : int
        Bytes that are read.
    beats, useful_beats : int
        Beats of the bus, and those of them that :class:`sw.plan.reads.Reads` calls useful.
    silent_share : float
        Share of the weights' multiplications that silent codes save.
    """

    cycles: int = 0
    kinds: dict[str, Kind] = dataclasses.field(default_factory=lambda: defaultdict(Kind))
    stalls: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    octets: int = 0
    beats: int = 0
    useful_beats: int = 0
    silent_share: float = 0.0
