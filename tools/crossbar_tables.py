"""Command ``python -m tools.crossbar_tables``: steps, conversions and cycles of crossbars.

Writes ``docs/crossbar_tables.md``: what crossbars do beside digital lanes, for every code table and
height of arrays, and Matterhorn's table of steps as counters.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import torch
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES
from hw.spec.crossbar import PRESETS, Crossbar
from hw.spec.crossbar_cycles import step_cycles
from sw.convert.container import ConvertedModel
from sw.golden.codes import Encoded
from sw.golden.counters import lane_cycles
from sw.golden.decoder import GoldenModel
from sw.golden.linear import GoldenLinear
from sw.golden.matrix import Matrix
from sw.golden.sums import windows
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model
from tools.markdown import table

DOCS = Path(__file__).parents[1] / "docs"
TEXT, START = "novels/persuasion", 200_000

#: Columns of an array, and lanes of the core beside it.
COLUMNS = 64


def array_steps(encoded: Encoded, rows: int) -> int:
    """Distinct occupied levels of every array of ``rows`` rows, both windows."""
    total = 0
    for levels in windows(encoded):
        magnitudes = levels.abs()
        missing = -magnitudes.shape[-2] * BLOCK % rows // BLOCK
        padded = torch.nn.functional.pad(magnitudes, (0, 0, 0, missing))
        arrays = padded.reshape(-1, rows)
        for level in arrays.unique().tolist():
            total += int((arrays == level).any(-1).sum()) if level else 0
    return total


class Tally(GoldenLinear):
    """Golden product that adds up what lanes and arrays would do."""

    def reset(self) -> None:
        """Set all sums to zero."""
        super().reset()
        self.sums = dict.fromkeys(("mac", "spike", "steps32", "steps256", "spikes", "bits"), 0)

    def product(self, name: str, matrix: Matrix, encoded: Encoded) -> Tensor:
        """Multiply, and count for tiles of 64 columns."""
        weights = matrix.weights
        tiles = weights.format.tiles(weights.rows, COLUMNS)
        for kind in ("mac", "spike"):
            self.sums[kind] += tiles * int(lane_cycles(encoded, kind).sum())
        for rows in (32, 256):
            self.sums[f"steps{rows}"] += tiles * array_steps(encoded, rows)
        fired = sum(int((levels != 0).sum()) for levels in windows(encoded))
        self.sums["spikes"] += fired
        bits = 4 * weights.format.lanes_per_output
        fires = sum(levels != 0 for levels in windows(encoded)) != 0
        self.sums["bits"] += int(fires.sum()) * weights.rows * bits
        return super().product(name, matrix, encoded)


def tally(model: ConvertedModel, name: str, ids: list[int], theta: int | None = None) -> dict:
    """Count over some tokens; ``theta`` replaces the silence thresholds of linear inputs."""
    golden = GoldenModel(model, table=name)
    meter = Tally(model, table=golden.table)
    if theta is not None:
        meter.model = _Thresholds(model, theta)  # type: ignore[assignment]
    golden.golden = meter
    golden.prefill(ids)
    return meter.sums


class _Thresholds:
    """A model's quantizers with another silence threshold."""

    def __init__(self, model: ConvertedModel, theta: int):
        self._model, self._theta = model, theta

    def quantizer(self, site: str, name: str):
        """Quantizer of a site."""
        return dataclasses.replace(self._model.quantizer(site, name), threshold=self._theta)


def _verdict(found: dict[str, dict], own: Crossbar, shared: Crossbar) -> str:
    """Say by how much crossbars are faster or slower than `spike` lanes."""
    text = "Cycles of the crossbars as shares of those of the `spike` lanes, least and most: "
    parts = []
    for height in (32, 256):
        for crossbar, label in ((own, "a converter a column"), (shared, "one for eight")):
            shares = [
                sums[f"steps{height}"] * step_cycles(crossbar) / sums["spike"]
                for sums in found.values()
            ]
            parts.append(f"{height} rows and {label} {min(shares):.2f} to {max(shares):.2f}")
    return (
        text
        + "; ".join(parts)
        + (
            ". Below 1 the crossbar wins. What one scale for 256 rows costs in accuracy: "
            "`docs/crossbar_study.md`.\n\n"
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """Count; write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.crossbar_tables", description=__doc__)
    parser.add_argument("--tokens", type=int, default=32)
    options = parser.parse_args(arguments)
    model = open_model(None)
    text = resolve_text(TEXT)[START : START + 16 * options.tokens]
    ids = Tokenizer.from_spec(model.tokenizer_spec).encode(text)[: options.tokens]
    ideal = PRESETS["ideal"].replace(columns_per_converter=1)
    shared = ideal.replace(columns_per_converter=8)
    rows = []
    names = [t.name for t in TABLES.values() if t.linear]
    found = {name: tally(model, name, ids) for name in names}
    for name, sums in found.items():
        cells: list[str] = [f"`{name}`", f"{sums['mac']:,}", f"{sums['spike']:,}"]
        for height in (32, 256):
            steps = sums[f"steps{height}"]
            cells += [f"{steps:,}", f"{steps * COLUMNS:,}"]
            cells += [f"{steps * step_cycles(crossbar):,}" for crossbar in (ideal, shared)]
        rows.append(tuple(cells))
    head = ["code", "mac lanes", "spike lanes"]
    for height in (32, 256):
        head += [f"steps, {height} rows", "conversions", "cycles, own ADC", "cycles, 8 share"]
    steps_table = []
    for label, name, theta, crossbar in (
        ("TTFS", "ttfs", None, False),
        ("masked (M-TTFS)", "mttfs", 4, False),
        ("dead zone 1", "mttfs", 12, False),
        ("dead zone 1 on crossbars", "mttfs", 12, True),
    ):
        sums = tally(model, name, ids, theta)
        steps_table.append(
            (
                label,
                f"{sums['spikes']:,}",
                "0" if crossbar else f"{sums['bits']:,}",
                f"{sums['steps32'] * COLUMNS:,}" if crossbar else "0",
                f"{sums['steps256'] * COLUMNS:,}" if crossbar else "0",
            )
        )
    page = (
        "# Crossbars beside digital lanes\n\n"
        f"Written by `python -m tools.crossbar_tables --tokens {options.tokens}`: the bundled "
        f"model on {options.tokens} tokens of *Persuasion*, all linear layers and the head, "
        f"{COLUMNS} columns or lanes, one matrix and array at a time. Lanes: cycles of their items "
        "(`lane_cycles`), heads and stalls apart. Crossbars: `pair` with paired lines; cycles are "
        "one of access and one conversion a converter (`step_cycles`), with a converter for each "
        "column, or one for eight. With 256 rows the blocks of an array are assumed to share one "
        "scale; the codes here are still those of blocks of 32, so that this counts the effect of "
        "the height alone. Inputs of this model are 64 to 192 long, so that one array of 256 rows "
        "holds any of its matrices' inputs.\n\n"
        + table(head, rows)
        + "\n"
        + _verdict(found, ideal, shared)
        + "## Matterhorn's steps as counters\n\n"
        "Spikes are moved once for each vector (both digits of an integer count). Weight bits are "
        "those of the rows that fire; on crossbars static weights are not read.\n\n"
        + table(
            ["step", "spikes moved", "weight bits read", "conversions, 32 rows", "256 rows"],
            steps_table,
        )
    )
    (DOCS / "crossbar_tables.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
