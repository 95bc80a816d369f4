"""Measure what `docs/frontier.md` states: ``python -m tools.frontier`` writes that page.

Plans SmolLM2-135M for more and more silence, and lets the golden model read a novel and editorials
that no plan has seen. Takes about ten minutes a plan on one core. What is in the folder already is
not made again, so that a run can be stopped and taken up.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

from sw.convert.container import write_whole
from sw.load.fetch import cache_folder
from tools.commands import ROOT, make_missing

PAGE, PLOT = ROOT / "docs" / "frontier.md", ROOT / "docs" / "plots" / "frontier.svg"

PLAN = "convert smollm2-135m --calibrate novels/emma --from 100000 --code companded"

#: Share of silent elements that is asked for; the first plan is the most accurate.
SHARES = ("0.2", "0.2855", "0.35")
POINTS = {
    "accurate": "--budget 0% --integers 2.9%",
    **{f"silent-{s}": f"--silence {s} --objective events --integers 2.85%" for s in SHARES},
}

TEXTS = {"novel": "--text novels/persuasion --from 200000", "editorials": "--text editorials"}
TOKENS = 8192

Row = dict[str, Any]


def steps(point: str) -> dict[str, str]:
    """Files of a plan, and the arguments that make them."""
    model = f"{point}.safetensors"
    return {model: f"{PLAN} {POINTS[point]} -o {model}"} | {
        f"{point}-{name}.json": f"compare {model} {text} --tokens {TOKENS} --only companded "
        f"--json {point}-{name}.json"
        for name, text in TEXTS.items()
    }


def measured(folder: Path) -> dict[str, dict[str, Row]]:
    """Golden rows by plan and text, of what is measured."""
    found: dict[str, dict[str, Row]] = {}
    for point in POINTS:
        files = {name: folder / f"{point}-{name}.json" for name in TEXTS}
        if all(file.is_file() for file in files.values()):
            found[point] = {n: json.loads(f.read_text())["rows"][1] for n, f in files.items()}
    return found


def _error(row: Row) -> float:
    """Return the standard error of a ratio of perplexities."""
    return row["ratio"] * row["difference_stderr"]


def page(found: dict[str, dict[str, Row]]) -> str:
    """Text of `docs/frontier.md`."""
    texts = " | ".join(f"{name}, × float" for name in TEXTS)
    lines = [
        "# Accuracy, silence and integers",
        "",
        "Written by `python -m tools.frontier` (`tools/frontier.py`), which makes and measures the "
        "plans.",
        f"{datetime.date.today()}, one core of {platform.machine()}, Python "
        f"{platform.python_version()}.",
        "",
        f"SmolLM2-135M, the whole pipeline in integers (golden model), on {TOKENS:,} tokens of a "
        "novel (*Persuasion*) and of newspaper",
        "editorials; plans were made on *Emma*. Perplexity over float, with the standard error of "
        "that ratio,",
        "from the paired difference of log-losses.",
        "Shares are of the elements of all linear inputs, on the novel; bytes are what a token "
        "reads of the weights.",
        "",
        f"| plan | {texts} | silent | integer | steps a token | bytes a token |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for point, rows in found.items():
        row = rows["novel"]
        ratios = [f"{r['ratio']:.4f} ± {_error(r):.4f}" for r in rows.values()]
        shares = [f"{row[kind]:.2%}" for kind in ("silent", "integer")]
        numbers = [f"{row[kind]:,.0f}" for kind in ("steps", "bytes")]
        lines.append(f"| {' | '.join([point, *ratios, *shares, *numbers])} |")
    lines += [
        "",
        "![Perplexity over float against the share of silent elements](plots/frontier.svg)",
        "",
        "Commands of a plan, with the options of each:",
        "",
        *(f"    {point}: {options}" for point, options in POINTS.items()),
        "",
        *(f"    firstspike {a}" for a in steps("accurate").values()),
        "",
    ]
    return "\n".join(lines)


def plot(found: dict[str, dict[str, Row]], path: Path) -> None:
    """Draw perplexity over float against silence, one line a text, with standard errors."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "firstspike"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2))
    for name in TEXTS:
        rows = [rows[name] for rows in found.values()]
        errors = [_error(row) for row in rows]
        silent, ratios = [100 * row["silent"] for row in rows], [row["ratio"] for row in rows]
        axes.errorbar(silent, ratios, errors, marker="o", capsize=3, label=name)
    axes.set(xlabel="silent elements of linear inputs, %", ylabel="perplexity over float")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(POINTS), default=list(POINTS))
    parser.add_argument("--folder", type=Path, default=cache_folder() / "frontier")
    parser.add_argument("--page-only", action="store_true", help="of what is measured already")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.page_only:
        for point in options.only:
            make_missing(steps(point), options.folder)
    found = measured(options.folder)
    if not found:
        sys.exit("error: no plan is measured yet; run without --page-only")
    plot(found, PLOT)
    write_whole(PAGE, page(found).encode())
    print(f"wrote {PAGE} of {', '.join(found)}")


if __name__ == "__main__":
    main()
