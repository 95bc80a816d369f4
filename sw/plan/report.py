"""A token's cost for people, and as JSON; parts of it that are any cost's."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from sw.plan.cost import TokenCost
from sw.plan.dense import DenseBytes
from sw.plan.measure import Measured
from sw.plan.prompt import PromptCost

#: What a token may read beside codes that are not silent, scales, keys and values: a share of all.
ALLOWANCE = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """A token's cost beside that of a dense decoder that uses the same memory perfectly.

    Attributes
    ----------
    model, configuration, memory : str
        What was asked for.
    position : int
        Position of the token.
    mhz : float
        Clock.
    cost : TokenCost
        What the token costs.
    prompt : PromptCost or None
        What a prompt costs.
    measured : Measured or None
        What a simulated core needed for the token.
    dense : DenseBytes
        What the token would read if nothing were skipped.
    bytes_per_cycle : float
        What the memory gives at best.
    """

    model: str
    configuration: str
    memory: str
    position: int
    mhz: float
    cost: TokenCost
    prompt: PromptCost | None
    measured: Measured | None
    dense: DenseBytes
    bytes_per_cycle: float

    @property
    def tokens_per_second(self) -> float:
        """Tokens like this one in a second."""
        return 1e6 * self.mhz / self.cost.cycles

    @property
    def dense_cycles(self) -> float:
        """Cycles of the dense decoder."""
        return self.dense.total / self.bytes_per_cycle

    @property
    def bound(self) -> float:
        """Bytes that a token may read: codes that are not silent and all else, and 2 % more."""
        dense = self.dense
        codes = dense.codes * (1 - self.cost.silent_share)
        return (1 + ALLOWANCE) * (codes + dense.scales + dense.cache)

    def table(self) -> Table:
        """Lines of the kinds of instructions, the most expensive first."""
        title = f"{self.model} on {self.configuration}, memory {self.memory}"
        return cost_table(self.cost, title=title, product="token")

    def lines(self) -> list[str]:
        """Sentences below the table."""
        cost, dense = self.cost, self.dense
        lines = [
            f"position {self.position}: {self.tokens_per_second:.2f} tokens a second at "
            f"{self.mhz:g} MHz",
            *cost_lines(cost),
            f"{cost.silent_share:.1%} of the multiplications by weights are silent; codes without "
            f"them, scales, keys and values are {self.bound:,.0f} bytes with {ALLOWANCE:.0%} more, "
            f"of which this token reads {cost.octets / self.bound:.1%}",
            f"a dense decoder reads {dense.total:,} bytes ({dense.codes:,} codes, {dense.scales:,} "
            f"scales, {dense.cache:,} keys and values) in {self.dense_cycles:,.0f} cycles at best; "
            f"this token has {self.dense_cycles / cost.cycles:.3f} times its rate",
        ]
        if self.measured:
            cycles, beats = self.measured
            lines.append(
                f"simulated: {cycles:,} cycles, predicted {cost.cycles / cycles - 1:+.3%}; "
                f"{beats:,} beats, predicted {cost.beats - beats:+,}; "
                f"{cost.useful_beats / cycles:.2%} of the cycles move a useful one, "
                f"{self.dense_cycles / cycles:.3f} times the dense decoder's rate"
            )
        if self.prompt:
            prompt = self.prompt
            lines.append(
                f"a prompt of {prompt.tokens} tokens, {prompt.batch} at once: "
                f"{prompt.cycles:,} cycles, {prompt.cycles / (1e6 * self.mhz):.3g} s to its first "
                f"token; {prompt.octets:,} bytes, {prompt.octets / prompt.tokens:,.0f} a token"
            )
        return lines

    def content(self) -> dict[str, Any]:
        """Return what JSON holds."""
        cost = self.cost
        return {
            "model": self.model,
            "configuration": self.configuration,
            "memory": self.memory,
            "position": self.position,
            "mhz": self.mhz,
            **cost_content(cost),
            "tokens_per_second": self.tokens_per_second,
            "bound_bytes": self.bound,
            "measured": self.measured._asdict() if self.measured else None,
            "dense_bytes": self.dense._asdict(),
            "dense_cycles": self.dense_cycles,
            "prompt": self._prompt(),
        }

    def _prompt(self) -> dict[str, Any] | None:
        if self.prompt is None:
            return None
        content = dataclasses.asdict(self.prompt)
        return content | {"bytes": content.pop("octets")}


def cost_table(cost: TokenCost, *, title: str, product: str) -> Table:
    """Kinds of instructions, the most expensive first, and all of them, which make ``product``."""
    table = Table(title=title)
    table.add_column("instruction")
    for column in ("count", "cycles", "share", "busy", "bytes read"):
        table.add_column(column, justify="right")
    for name, kind in sorted(cost.kinds.items(), key=lambda item: -item[1].cycles):
        share = f"{kind.cycles / cost.cycles:.1%}"
        count = str(kind.count) if kind.count else ""
        busy = f"{kind.busy:,}" if kind.count else ""
        table.add_row(name, count, f"{kind.cycles:,}", share, busy, f"{kind.octets:,}")
    table.add_section()
    table.add_row(product, "", f"{cost.cycles:,}", "100.0%", "", f"{cost.octets:,}")
    return table


def cost_lines(cost: TokenCost) -> list[str]:
    """Sentences about what lanes and bus do."""
    stalls = ", ".join(f"{cycles:,} for {name}" for name, cycles in cost.stalls.items())
    return [
        f"lanes wait in matrices of weights: {stalls} (cycles)",
        f"{cost.beats / cost.cycles:.2%} of the cycles move a beat, "
        f"{cost.useful_beats / cost.cycles:.2%} a useful one",
    ]


def cost_content(cost: TokenCost) -> dict[str, Any]:
    """Return what JSON holds of a cost."""
    return {
        "cycles": cost.cycles,
        "bytes": cost.octets,
        "beats": cost.beats,
        "useful_beats": cost.useful_beats,
        "silent_share": cost.silent_share,
        "stalls": dict(cost.stalls),
        "instructions": {
            name: {
                "count": kind.count,
                "cycles": kind.cycles,
                "busy": kind.busy,
                "bytes": kind.octets,
            }
            for name, kind in cost.kinds.items()
        },
    }
