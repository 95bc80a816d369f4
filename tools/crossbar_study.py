"""Command ``python -m tools.crossbar_study``: accuracy on crossbars that are not ideal.

Writes ``docs/crossbar_study.md`` and its plots.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import torch

from hw.spec.crossbar import GAIN_FRACTION, PRESETS, Crossbar, UniformConverter
from sw.evaluate import evaluate
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model
from tools.markdown import table

DOCS = Path(__file__).parents[1] / "docs"

IDEAL = PRESETS["ideal"].with_bits(10)

#: Text: where the evaluation of the whole project begins too.
TEXT, START = "novels/persuasion", 200_000


@dataclasses.dataclass(frozen=True)
class Study:
    """One thing that is wrong with an array, by how much, and what is done against it."""

    name: str
    axis: str
    points: tuple[float, ...]
    plain: Callable[[float], Crossbar]
    mitigated: Callable[[float], Crossbar]
    mitigation: str
    by_cells: bool = False
    #: Mitigations apart: label, arrays, and whether weights are chosen by the cells as they are.
    apart: tuple[tuple[str, Callable[[float], Crossbar], bool], ...] = ()


def _drifted(left: float) -> Crossbar:
    gain = round((1 << GAIN_FRACTION) / left)
    converter = UniformConverter(bits=10, gain=gain)
    return IDEAL.replace(drift=left, converter=converter)


def _stuck(share: float) -> Crossbar:
    return IDEAL.replace(stuck_low=share / 2, stuck_high=share / 2)


def _stuck_phases(share: float) -> Crossbar:
    return _stuck(share).replace(signs="phases")


def _stuck_bits(share: float) -> Crossbar:
    return _stuck_phases(share).replace(mapping="sliced")


#: What is measured of SmolLM2.
LARGE = (
    ("10-bit converter", IDEAL),
    ("9 bits, range not calibrated", IDEAL.with_bits(9)),
    ("6 bits, range calibrated", IDEAL.with_bits(6, 1)),
    ("256 rows", PRESETS["ideal"].replace(rows=256)),
    ("read noise 0.2", IDEAL.replace(read_sigma=0.2)),
    ("error of writing 0.2", IDEAL.replace(programming_sigma=0.2)),
    ("1 % of cells stuck", _stuck(0.01)),
)

STUDIES = (
    Study(
        "adc",
        "bits of the converter",
        (9, 8, 7, 6, 5),
        lambda bits: IDEAL.with_bits(int(bits)),
        lambda bits: IDEAL.with_bits(int(bits), 1 if bits > 5 else 3),
        "range calibrated: steps of one level (5 bits: three), rare large sums are clipped",
    ),
    Study(
        "programming",
        "standard deviation of a written cell, in levels of 8",
        (0.1, 0.2, 0.4, 0.8),
        lambda sigma: IDEAL.replace(programming_sigma=sigma),
        lambda sigma: IDEAL.replace(programming_sigma=sigma, pulses=4, tolerance=sigma / 2),
        "up to four pulses, until within half the deviation",
    ),
    Study(
        "read",
        "standard deviation of a cell that is read, in levels of 8",
        (0.1, 0.2, 0.4),
        lambda sigma: IDEAL.replace(read_sigma=sigma),
        lambda sigma: IDEAL.replace(read_sigma=sigma, signs="phases"),
        "polarities read apart (as many cells, twice the conversions)",
    ),
    Study(
        "stuck",
        "share of cells stuck, half of them high",
        (0.003, 0.01, 0.03),
        _stuck,
        _stuck_bits,
        "one-bit cells (`sliced`), polarities read apart, and weights chosen by what their cells "
        "have become (`firstspike eval --remap`)",
        by_cells=True,
        apart=(
            ("weights chosen by cells", _stuck, True),
            ("polarities apart", _stuck_phases, False),
            ("polarities apart, by cells", _stuck_phases, True),
            ("`sliced`", _stuck_bits, False),
        ),
    ),
    Study(
        "drift",
        "what is left of conductances",
        (0.95, 0.9, 0.8),
        lambda left: IDEAL.replace(drift=left),
        _drifted,
        "gain of the converter set to the inverse",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """Evaluate; plot; write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.crossbar_study", description=__doc__)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--large", type=int, metavar="TOKENS", help="measure SmolLM2 on so many")
    parser.add_argument("--json", type=Path, help="keep measurements, and go on from them")
    options = parser.parse_args(arguments)
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    model = open_model(None)
    text = resolve_text(TEXT)[START : START + 16 * options.tokens]
    ids = torch.tensor(Tokenizer.from_spec(model.tokenizer_spec).encode(text)[: options.tokens])

    def perplexity(
        crossbar: Crossbar | None, by_cells: bool = False, model=model, ids=ids
    ) -> float:
        key = f"{model.name} {len(ids)} {crossbar!r}" + " by cells" * by_cells
        if key not in kept:
            start = time.monotonic()
            result = evaluate(
                model,
                None,
                ids,
                window=min(512, model.config.context, len(ids)),
                table=model.table,
                rungs=("golden",),
                crossbar=crossbar,
                by_cells=by_cells,
                report=lambda line: None,
            )
            kept[key] = result.perplexity["golden"]
            print(f"{kept[key]:9.3f}  {time.monotonic() - start:5.1f} s  {crossbar}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(kept, indent=1))
        return kept[key]

    base = perplexity(None)
    presets = {
        name: perplexity(p.replace(clip=not all(map(p.cells.holds, range(-8, 8)))))
        for name, p in PRESETS.items()
    }
    heights = {rows: perplexity(PRESETS["ideal"].replace(rows=rows)) for rows in (32, 256)}
    found = {
        study.name: [
            (
                p,
                perplexity(study.plain(p)),
                perplexity(study.mitigated(p), study.by_cells),
                *(perplexity(made(p), by_cells) for _, made, by_cells in study.apart),
            )
            for p in study.points
        ]
        for study in STUDIES
    }
    large = []
    if options.large:
        big = open_model("smollm2-135m")
        read = Tokenizer.from_spec(big.tokenizer_spec).encode(text)[: options.large]
        of = functools.partial(perplexity, model=big, ids=torch.tensor(read))
        large = [("digital lanes", of(None))]
        large += [(label, of(crossbar)) for label, crossbar in LARGE]
    for study in STUDIES:
        _plot(study, found[study.name], base)
    (DOCS / "crossbar_study.md").write_text(
        _page(options.tokens, base, presets, heights, found, large, options)
    )
    return 0


def _plot(study: Study, points, base: float) -> None:
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "firstspike"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2))
    x = [point[0] for point in points]
    axes.plot(x, [point[1] for point in points], "o-", label="as it is")
    axes.plot(x, [point[2] for point in points], "s--", label="mitigated")
    axes.axhline(base, color="grey", linewidth=0.8, label="digital lanes")
    axes.set(xlabel=study.axis, ylabel="perplexity", yscale="log")
    if study.name in ("programming", "read", "stuck"):
        axes.set_xscale("log")
    axes.legend()
    figure.tight_layout()
    figure.savefig(DOCS / "plots" / f"crossbar_{study.name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _page(tokens: int, base: float, presets, heights, found, large, options) -> str:
    more = f" --large {options.large}" if options.large else ""
    text = (
        "# Accuracy on crossbars\n\n"
        f"Written by `python -m tools.crossbar_study --tokens {tokens}{more}`. Perplexity of the "
        f"bundled model on {tokens} tokens of *Persuasion* from character {START:,}, golden model, "
        f"arrays of 32 rows and 64 columns, seed 0, one seed only; digital lanes {base:.2f}. "
        "Everything but what is studied is ideal: mapping `pair`, 10-bit converter.\n\n"
        + table(
            ["preset", "perplexity"],
            [(f"`{name}`", f"{value:.2f}") for name, value in presets.items()],
        )
        + "\n`ye2023` with `--clip`. Its 4-bit read-out of 32 rows has steps of 14 products, more "
        "than most sums of this model.\n\n## Scale groups\n\nWith 256 rows, activations and "
        "weights of all inputs of an array have one scale (`firstspike eval --synapse crossbar "
        "--rows 256`); inputs of this model are 64 to 192 long. What that saves: "
        "[crossbar_tables.md](crossbar_tables.md).\n\n"
        + table(["rows", "perplexity"], [(r, f"{value:.2f}") for r, value in heights.items()])
    )
    for study in STUDIES:
        rows = [(f"{p:g}", *(f"{n:.2f}" for n in measured)) for p, *measured in found[study.name]]
        labels = [label for label, _, _ in study.apart]
        text += (
            f"\n## {study.axis[0].upper()}{study.axis[1:]}\n\n"
            f"![{study.axis}](plots/crossbar_{study.name}.svg)\n\n"
            f"Mitigated: {study.mitigation}.\n\n"
            + table([study.axis, "as it is", "mitigated", *labels], rows)
        )
    gains = {s.name: max(point[1] / point[2] for point in found[s.name]) for s in STUDIES}
    best = max(gains, key=lambda name: gains[name])
    mitigation = next(s.mitigation for s in STUDIES if s.name == best)
    text += (
        f"\nWhat helped most, by the largest ratio of perplexities: `{best}`, {mitigation} "
        f"({gains[best]:.1f} times).\n"
    )
    if large:
        text += (
            "\n## SmolLM2-135M\n\n"
            f"The same on the first {options.large} tokens of that text, in one window: too few to "
            "say how good the model is, enough to see what arrays change.\n\n"
            + table(["arrays", "perplexity"], [(label, f"{n:.2f}") for label, n in large])
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
