"""A sentence's cost for people, and as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from sw.plan.cost import TokenCost
from sw.plan.measure import Measured
from sw.plan.report import cost_content, cost_lines, cost_table


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceReport:
    """What an encoder core does for a sentence.

    Attributes
    ----------
    model, configuration, memory : str
        What was asked for.
    tokens : int
        Tokens of the sentence.
    mhz : float
        Clock.
    cost : TokenCost
        What all programs of the sentence cost together.
    measured : Measured or None
        What a simulated core needed for it.
    """

    model: str
    configuration: str
    memory: str
    tokens: int
    mhz: float
    cost: TokenCost
    measured: Measured | None

    @property
    def sentences_per_second(self) -> float:
        """Sentences like this one in a second."""
        return 1e6 * self.mhz / self.cost.cycles

    def table(self) -> Table:
        """Lines of the kinds of instructions, the most expensive first."""
        title = f"{self.model} on {self.configuration}, memory {self.memory}"
        return cost_table(self.cost, title=title, product="sentence")

    def lines(self) -> list[str]:
        """Sentences below the table."""
        cost = self.cost
        lines = [
            f"{self.tokens} tokens: {self.sentences_per_second:.2f} sentences a second at "
            f"{self.mhz:g} MHz; {cost.cycles / self.tokens:,.0f} cycles and "
            f"{cost.octets / self.tokens:,.0f} bytes a token",
            *cost_lines(cost),
            f"{cost.silent_share:.1%} of the rows of weights are silent in all vectors that share "
            "them, and not read",
        ]
        if self.measured:
            cycles, beats = self.measured
            lines.append(
                f"simulated: {cycles:,} cycles, predicted {cost.cycles / cycles - 1:+.3%}; "
                f"{beats:,} beats, predicted {cost.beats - beats:+,}"
            )
        return lines

    def content(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "model": self.model,
            "configuration": self.configuration,
            "memory": self.memory,
            "tokens": self.tokens,
            "mhz": self.mhz,
            **cost_content(self.cost),
            "sentences_per_second": self.sentences_per_second,
            "measured": self.measured._asdict() if self.measured else None,
        }
