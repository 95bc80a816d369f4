"""The registry of baselines: one row of `firstspike compare` each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sw.compare.quantizers import (
    FixedChannelQuantizers,
    NaiveQuantizers,
    RateQuantizers,
    RecordingQuantizers,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a row is, and how it is run.

    Attributes
    ----------
    name, label : str
        For machines and for people.
    rung : str
        ``"float"``, ``"fake"`` where no integer arithmetic is defined for the code, or
        ``"golden"``: exact integers.
    origin : str
        Whose rule it is.
    table : str, optional
        Code table of a golden row.
    dead_zone : int
        Levels next to the silent one that are silent too: Matterhorn's k.
    quantizers : callable, optional
        Makes the quantizers of a fake row.
    dense_bits : int, optional
        Bits of a value that is moved and multiplied whole, whatever it is: nothing is skipped. None
        where codes other than integers are spikes of one bit.
    salient : bool
        The quantizers take a choice of channels.
    crossbar : bool
        Weights are in crossbars that lose nothing: the sums are those of the row with the same
        code, bit for bit (``docs/crossbar.md``), and its run is taken. Energy differs.
    """

    name: str
    label: str
    rung: str
    origin: str
    table: str | None = None
    dead_zone: int = 0
    quantizers: Callable[..., RecordingQuantizers] | None = None
    dense_bits: int | None = None
    salient: bool = False
    crossbar: bool = False


def _golden(name: str, label: str, origin: str, **options) -> Baseline:
    return Baseline(name=name, label=label, rung="golden", origin=origin, **options)


def _fake(name: str, label: str, origin: str, **options) -> Baseline:
    return Baseline(name=name, label=label, rung="fake", origin=origin, **options)


def _rate(steps: int) -> Baseline:
    return _fake(
        f"rate{steps}",
        f"rate code, T = {steps}",
        "SpikeLLM's form as far as known; saliency and rounding ours",
        quantizers=lambda *given, **named: RateQuantizers(*given, steps=steps, **named),
        salient=True,
    )


#: Every baseline, in the order of the report; those with crossbars behind the last without.
BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="float",
        label="float, weights as in the file",
        rung="float",
        origin="reference",
        dense_bits=32,
    ),
    _golden("w4a8", "W4A8, dense integers", "reference", table="integer", dense_bits=8),
    _fake(
        "w4a4-naive",
        "W4A4, one scale per token, no integers",
        "common practice",
        quantizers=NaiveQuantizers,
        dense_bits=4,
    ),
    _fake(
        "w4a48-fixed",
        "W4A4&8, a fixed tenth of the channels in integers",
        "common practice; which channels is ours",
        quantizers=FixedChannelQuantizers,
        salient=True,
    ),
    _rate(8),
    _rate(16),
    _golden(
        "ttfs256", "TTFS, 256 steps", "Kirin's starting point; block scales ours", table="ttfs8"
    ),
    _golden("ttfs16", "TTFS, 16 steps", "Kirin's window; its integers ours", table="ttfs"),
    _golden("mttfs", "M-TTFS (k = 0)", "Matterhorn; scales and integers ours", table="mttfs"),
    *(
        _golden(
            f"mttfs-k{k}",
            f"M-TTFS, dead zone k = {k}",
            "Matterhorn, not trained for it; block scales and integers ours",
            table="mttfs",
            dead_zone=k,
        )
        for k in (1, 2, 3)
    ),
    _golden("signed8", "signed, 8 steps", "ours", table="signed8"),
    _golden("signed16", "signed, 16 steps", "ours", table="signed16"),
    _golden("companded", "signed, companded", "ours", table="companded"),
    _golden("fp4", "signed, ladder of FP4", "ours", table="fp4"),
    _golden(
        "mttfs-k1-crossbar",
        "M-TTFS, dead zone k = 1, on ideal crossbars",
        "Matterhorn, not trained for it; 32 rows of 4-bit weights, scales and integers ours",
        table="mttfs",
        dead_zone=1,
        crossbar=True,
    ),
    _golden(
        "companded-crossbar",
        "signed, companded, on ideal crossbars",
        "ours",
        table="companded",
        crossbar=True,
    ),
)
