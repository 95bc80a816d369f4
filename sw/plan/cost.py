"""What a token or a sentence costs."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable


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
    """Cost of a token, or of whatever programs make.

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
    products, silent_products : int
        The weights' multiplications, and those of them that silent codes save.
    """

    cycles: int = 0
    kinds: dict[str, Kind] = dataclasses.field(default_factory=lambda: defaultdict(Kind))
    stalls: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    octets: int = 0
    beats: int = 0
    useful_beats: int = 0
    products: int = 0
    silent_products: int = 0

    @property
    def silent_share(self) -> float:
        """Share of the weights' multiplications that silent codes save."""
        return self.silent_products / max(self.products, 1)

    @classmethod
    def total(cls, costs: Iterable[TokenCost]) -> TokenCost:
        """Add up what programs cost that run one after the other."""
        whole = cls()
        for cost in costs:
            whole.cycles += cost.cycles
            whole.octets += cost.octets
            whole.beats += cost.beats
            whole.useful_beats += cost.useful_beats
            whole.products += cost.products
            whole.silent_products += cost.silent_products
            for name, cycles in cost.stalls.items():
                whole.stalls[name] += cycles
            for name, kind in cost.kinds.items():
                together = whole.kinds[name]
                together.count += kind.count
                together.cycles += kind.cycles
                together.busy += kind.busy
                together.octets += kind.octets
        return whole
