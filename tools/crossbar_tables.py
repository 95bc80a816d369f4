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
from rich.progress import track
from torch import Tensor

from hw.spec.codes import BLOCK, TABLES, CodeTable
from hw.spec.configs import CONFIGS
from hw.spec.crossbar import PRESETS, ROWS, Crossbar
from hw.spec.crossbar_cycles import step_cycles
from hw.spec.params import CoreParams
from sw.convert.container import ConvertedModel
from sw.crossbar import fitted
from sw.energy.activity import totals
from sw.energy.macro import open_macro
from sw.energy.measure import golden_run
from sw.golden.codes import Encoded
from sw.golden.counters import lane_cycles
from sw.golden.decoder import GoldenModel
from sw.golden.linear import GoldenLinear
from sw.golden.matrix import Matrix
from sw.golden.sums import windows
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import golden_model, open_device, open_model
from sw.verify import ComparingLinear
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
    """Golden product that adds up what lanes and arrays of some height would do."""

    def __init__(self, model: ConvertedModel, *, table: CodeTable, rows: int):
        self.shared = rows // BLOCK
        super().__init__(model, table=table)

    def reset(self) -> None:
        """Set all sums to zero."""
        super().reset()
        self.sums = dict.fromkeys(("mac", "spike", "steps", "spikes", "bits"), 0)

    def product(self, name: str, matrix: Matrix, encoded: Encoded) -> Tensor:
        """Multiply, and count for tiles of 64 columns."""
        weights = matrix.weights
        tiles = weights.format.tiles(weights.rows, COLUMNS)
        for kind in ("mac", "spike"):
            self.sums[kind] += tiles * int(lane_cycles(encoded, kind).sum())
        self.sums["steps"] += tiles * array_steps(encoded, BLOCK * self.shared)
        fired = sum(int((levels != 0).sum()) for levels in windows(encoded))
        self.sums["spikes"] += fired
        bits = 4 * weights.format.lanes_per_output
        fires = sum(levels != 0 for levels in windows(encoded)) != 0
        self.sums["bits"] += int(fires.sum()) * weights.rows * bits
        return super().product(name, matrix, encoded)


def tally(
    model: ConvertedModel, name: str, ids: list[int], *, rows: int = BLOCK, theta: int | None = None
) -> dict[str, int]:
    """Count over some tokens; ``theta`` replaces the silence thresholds of linear inputs."""
    golden = GoldenModel(model, table=name)
    meter = Tally(model, table=golden.table, rows=rows)
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


def measure(models: dict[int, ConvertedModel], name: str, ids: list[int]) -> dict[str, int]:
    """Read registers of cores in RTL over some tokens; all must equal the golden model's."""
    found: dict[str, int] = {}
    cores = {kind: CONFIGS[f"{kind}8"] for kind in ("mac", "spike")}
    cores |= {
        f"{rows}": CONFIGS["spike8"].replace(crossbar=PRESETS["ideal"].replace(rows=rows))
        for rows in ROWS
    }
    for core, config in cores.items():
        params, model = CoreParams(config), models[config.crossbar.rows if config.crossbar else 32]
        with open_device(model, params=params, config=core, table=name) as (device, _):
            golden = golden_model(model, table=name, params=params)
            golden.linear = ComparingLinear(golden.golden, device)
            golden.prefill(ids)
            registers = ("array_steps", "conversions") if config.crossbar else ("cycles",)
            found |= {f"{core} {r}": device.counters[r] for r in registers}
    return found


def energies(models: dict[int, ConvertedModel], ids: list[int]) -> list[tuple[str, ...]]:
    """Conversions of a mean token on `ye2023`, by height, and what they cost."""
    preset = PRESETS["ye2023"].replace(clip=True)
    _, macro = open_macro(None, preset)
    rows = []
    for height in ROWS:
        run = golden_run(
            models[height],
            torch.tensor(ids),
            window=len(ids),
            crossbar=preset.replace(rows=height),
            columns=COLUMNS,
        )
        total = totals(run.activities.values())
        nanojoules = macro.picojoules(total.conversions, total.raised_lines) / len(ids) / 1000
        cells: list[str] = [f"{height}", f"{total.conversions / len(ids):,.0f}"]
        cells += [f"{total.raised_lines / total.conversions:.2f}", f"{nanojoules:,.1f}"]
        rows.append(tuple(cells))
    return rows


def _verdict(found: dict[str, dict], own: Crossbar, shared: Crossbar) -> str:
    """Say by how much crossbars are faster or slower than `spike` lanes."""
    text = "Cycles of the crossbars as shares of those of the `spike` lanes, least and most: "
    parts = []
    for height in ROWS:
        for crossbar, label in ((own, "a converter a column"), (shared, "one for eight")):
            shares = [
                sums[height]["steps"] * step_cycles(crossbar) / sums[BLOCK]["spike"]
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
    parser.add_argument("--rtl-tokens", type=int, default=2, help="those of cores in RTL")
    options = parser.parse_args(arguments)
    model = open_model(None)
    models = {rows: fitted(model, PRESETS["ideal"].replace(rows=rows)) for rows in ROWS}
    text = resolve_text(TEXT)[START : START + 16 * options.tokens]
    ids = Tokenizer.from_spec(model.tokenizer_spec).encode(text)[: options.tokens]
    ideal = PRESETS["ideal"].replace(columns_per_converter=1)
    shared = ideal.replace(columns_per_converter=8)
    names = [t.name for t in TABLES.values() if t.linear]
    found = {
        name: {rows: tally(models[rows], name, ids, rows=rows) for rows in ROWS} for name in names
    }
    head, counted = ["code", "mac lanes", "spike lanes"], []
    for height in ROWS:
        head += [f"steps, {height} rows", "conversions", "cycles, own ADC", "cycles, 8 share"]
    for name, sums in found.items():
        digital = sums[BLOCK]
        cells: list[str] = [f"`{name}`", f"{digital['mac']:,}", f"{digital['spike']:,}"]
        for height in ROWS:
            steps = sums[height]["steps"]
            cells += [f"{steps:,}", f"{steps * COLUMNS:,}"]
            cells += [f"{steps * step_cycles(crossbar):,}" for crossbar in (ideal, shared)]
        counted.append(tuple(cells))
    read = ids[: options.rtl_tokens]
    registers = []
    for name in track(names, description="cores in RTL"):
        got = measure(models, name, read)
        cells = [f"`{name}`", f"{got['mac cycles']:,}", f"{got['spike cycles']:,}"]
        for height in ROWS:
            steps = got[f"{height} array_steps"]
            cells += [f"{steps:,}", f"{got[f'{height} conversions']:,}"]
            cells += [f"{steps * step_cycles(crossbar):,}" for crossbar in (ideal, shared)]
        registers.append(tuple(cells))
    steps_table = []
    for label, name, theta, crossbar in (
        ("TTFS", "ttfs", None, False),
        ("masked (M-TTFS)", "mttfs", 4, False),
        ("dead zone 1", "mttfs", 12, False),
        ("dead zone 1 on crossbars", "mttfs", 12, True),
    ):
        sums = {
            rows: tally(models[rows], name, ids, rows=rows, theta=theta)
            for rows in (ROWS if crossbar else ROWS[:1])
        }
        conversions = [f"{s['steps'] * COLUMNS:,}" for s in sums.values()]
        steps_table.append(
            (
                label,
                f"{sums[BLOCK]['spikes']:,}",
                "0" if crossbar else f"{sums[BLOCK]['bits']:,}",
                *(conversions if crossbar else ["0", "0"]),
            )
        )
    page = (
        "# Crossbars beside digital lanes\n\n"
        f"Written by `python -m tools.crossbar_tables --tokens {options.tokens}`: the bundled "
        f"model on {options.tokens} tokens of *Persuasion*, all linear layers and the head, "
        f"{COLUMNS} columns or lanes, one matrix and array at a time. Lanes: cycles of their items "
        "(`lane_cycles`), heads and stalls apart. Crossbars: `pair` with paired lines; cycles are "
        "one of access and one conversion a converter (`step_cycles`), with a converter for each "
        "column, or one for eight. With 256 rows activations and weights of an array have one "
        "scale (`--rows 256`). Inputs of this model are 64 to 192 long, so that one array of 256 "
        "rows holds any of its matrices' inputs.\n\n"
        + table(head, counted)
        + "\n"
        + _verdict(found, ideal, shared)
        + "## Registers of cores in RTL\n\n"
        f"The same for the first {len(read)} of these tokens on cores of 8 lanes in RTL: the "
        "register `cycles` of `mac8` and `spike8`, everything included, and `array_steps` and "
        "`conversions` of `spike8` with crossbars. All accumulators and counters were equal to "
        "the golden model's. Cycles of macros follow from `array_steps` by `step_cycles`, to which "
        "`tests/rtl/test_macro.py` holds the macro; scaling, vectors and heads would take theirs "
        "beside them.\n\n" + table(head, registers) + "\n## Energy by height\n\n"
        "Of a mean token on `ye2023` with `--clip`, array and conversion alone "
        "([energy.md](energy.md)). The macro's power is published for 32 rows: what stands beside "
        "256 is what the same constants would give, if a column that is eight times as long cost "
        "no more. No source says so.\n\n"
        + table(
            ["rows", "conversions", "lines raised in one", "nJ by the constants of 32 rows"],
            energies(models, ids),
        )
        + "\n## Matterhorn's steps as counters\n\n"
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
