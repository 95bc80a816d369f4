"""The papers' claims on energy beside our counters under constants of the same group.

What is theirs stands in ``CLAIMED``, as far as it is known (``docs/papers.md``). What is ours is a
ratio of energies that are counted here. Neither paper's own constants are known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sw.energy.activity import WEIGHTS, Activity, on_crossbars, totals
from sw.energy.macro import MacroEnergy
from sw.energy.model import Energy, energy
from sw.energy.technology import Technology
from sw.load.checkpoint import LlamaConfig

#: Rows of `sw.compare` that the claims need.
ROWS = ("w4a8", "ttfs256", "ttfs16", "mttfs", "mttfs-k1")

#: Millijoules of a transformer block in Matterhorn's table, and its spike rates (summaries, S).
MATTERHORN = {
    "TTFS": (16.80, 0.0407),
    "M-TTFS (k = 0)": (12.24, 0.0277),
    "dead zone k = 1": (8.31, 0.0165),
    "with MSU": (6.14, 0.0165),
}

#: Of these, spike movement.
MOVEMENT = {"TTFS": 6.98, "M-TTFS (k = 0)": 4.75, "dead zone k = 1": 2.84}

#: Otters, in the same table.
OTTERS = 14.21

#: Kirin's abstract: energy and time steps saved.
KIRIN_ENERGY, KIRIN_STEPS = 0.8466, 0.9375


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    Attributes
    ----------
    claim : str
        What is claimed, or what ours is compared with.
    theirs : float or None
        The papers' number; None where there is none.
    ours : float or None
        Ours.
    reason : str
        Why they differ.
    """

    claim: str
    theirs: float | None
    ours: float | None
    reason: str


def claims(
    runs: Mapping[str, Mapping[str, Activity]],
    technology: Technology,
    macro: Technology,
    *,
    config: LlamaConfig,
    tokens: int,
    window: int,
) -> list[Line]:
    """Make the lines.

    Parameters
    ----------
    runs : mapping
        Records of every row in ``ROWS``, by name, on one text.
    technology, macro : Technology
        Constants of digital logic, and of a memristor macro.
    config, tokens, window
        The model's shape, tokens of the text and of a window.
    """

    def of(name: str, counting: str, dense_bits: int | None = None) -> Energy:
        return energy(
            runs[name].values(),
            technology,
            config=config,
            tokens=tokens,
            window=window,
            dense_bits=dense_bits,
            counting=counting,
        )

    steps = {name: totals(runs[name].values()).window_steps for name in ("ttfs256", "ttfs16")}
    occupied = {name: totals(runs[name].values()).steps for name in ("ttfs256", "ttfs16")}
    lines = [
        Line(
            claim="Kirin: time steps of the window saved",
            theirs=KIRIN_STEPS,
            ours=1 - steps["ttfs16"] / steps["ttfs256"],
            reason="the law of windows, 2^8 and 2^4 steps: equal by construction",
        ),
        Line(
            claim="same, occupied steps only",
            theirs=None,
            ours=1 - occupied["ttfs16"] / occupied["ttfs256"],
            reason="our lanes skip empty steps, so that a long window costs what is in it: at most "
            "one step for each element of a block; integers add steps of their digits",
        ),
    ]
    saved = "energy saved over "
    unknown = "Kirin's baseline and constants are unknown; "
    for counting in ("synapse", "broadcast"):
        hybrid = of("ttfs16", counting).total
        executed = _all_steps(runs["ttfs256"], technology, tokens)
        lines += [
            Line(
                claim=f"Kirin: {saved}TTFS-256 that executes every step ({counting})",
                theirs=KIRIN_ENERGY,
                ours=1 - hybrid / (of("ttfs256", counting).total + executed),
                reason=unknown + "the window saves accumulations of time steps, while weights are "
                "read as often",
            ),
            Line(
                claim=f"same, over TTFS-256 that skips empty steps ({counting})",
                theirs=KIRIN_ENERGY,
                ours=1 - hybrid / of("ttfs256", counting).total,
                reason="a spike is one bit either way; what is left is fewer occupied steps "
                "against integers of eight bits",
            ),
            Line(
                claim=f"same, over dense W4A8 ({counting})",
                theirs=KIRIN_ENERGY,
                ours=1 - hybrid / of("w4a8", counting, 8).total,
                reason="eight bits against one, moved to every synapse, is all of it; moved once "
                "per tile it is little"
                if counting == "synapse"
                else "weights are read by both",
            ),
        ]
    for counting in ("synapse", "broadcast"):
        lines += _matterhorn(runs, technology, macro, of, counting, tokens)
    return lines


def _all_steps(activities, technology: Technology, tokens: int) -> float:
    """Joules of a token for the empty steps of all windows: one accumulation per output."""
    picojoules = 0.0
    for record in activities.values():
        if record.kind == WEIGHTS:
            empty = record.outputs * record.window_steps - record.step_products
            picojoules += max(0, empty) * (record.weight_bits // 4) * technology["accumulate"]
    return 1e-12 * picojoules / tokens


def _matterhorn(runs, technology, macro, of, counting: str, tokens: int) -> list[Line]:
    names = dict(zip(list(MATTERHORN)[:3], ("ttfs16", "mttfs", "mttfs-k1"), strict=True))
    ours = {label: of(name, counting) for label, name in names.items()}
    analog = of("mttfs-k1", counting)
    conversions, digital = _macro(runs["mttfs-k1"], technology, macro, tokens)
    total = analog.total - analog.weights - digital + conversions
    joules = {label: each.total for label, each in ours.items()} | {"with MSU": total}
    first, reference = joules["TTFS"], MATTERHORN["TTFS"][0]
    lines = [
        Line(
            claim=f"Matterhorn: {label}, spike movement relative to TTFS ({counting})",
            theirs=MOVEMENT[label] / MOVEMENT["TTFS"],
            ours=ours[label].movement / ours["TTFS"].movement,
            reason="movement is proportional to spikes in both; ours includes integers, which stay",
        )
        for label in ("M-TTFS (k = 0)", "dead zone k = 1")
    ]
    for label, (millijoules, _) in MATTERHORN.items():
        if label != "TTFS":
            lines.append(
                Line(
                    claim=f"Matterhorn: {label}, energy relative to TTFS ({counting})",
                    theirs=millijoules / reference,
                    ours=joules[label] / first,
                    reason=_REASONS[label],
                )
            )
    lines.append(
        Line(
            claim=f"Matterhorn: 2.31 times less than Otters; ours: TTFS over MSU ({counting})",
            theirs=OTTERS / MATTERHORN["with MSU"][0],
            ours=first / total,
            reason="Otters is another design, with other weights and accounting; there is no model "
            "of it here, so ours is only the sum of Matterhorn's own steps",
        )
    )
    return lines


_REASONS = {
    "M-TTFS (k = 0)": "theirs silences 34 % of a trained BERT's codes, ours those near zero of an "
    "untrained conversion; integers, scales, cache and vector work are counted here and are not "
    "touched by the mask",
    "dead zone k = 1": "theirs was trained with the dead zone; ours was not, and costs accuracy; "
    "work that is not spikes stays",
    "with MSU": "theirs has weights of one bit on 256 rows that are summed whole; ours 4-bit "
    "weights in groups of 32, each occupied step of which is a conversion, two columns a weight",
}


def _macro(activities, technology, macro: Technology, tokens: int) -> tuple[float, float]:
    """Joules of conversions, and of the digital sums that they replace, of a token."""
    per_output = MacroEnergy.of(macro)
    analog = digital = 0.0
    for record in activities.values():
        if record.kind != WEIGHTS or not record.steps:
            continue
        arrays = on_crossbars(record)
        analog += per_output.picojoules(arrays.conversions, arrays.raised_lines)
        additions = (record.weight_bits // 4) * (record.event_products + record.digit_products)
        digital += additions * technology["accumulate"]
    return 1e-12 * analog / tokens, 1e-12 * digital / tokens
