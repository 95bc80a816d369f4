"""`firstspike compare`: every baseline on the same code and the same text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from sw.commands import options
from sw.compare.baselines import BASELINES
from sw.compare.run import Comparison, compare
from sw.convert.calibrate import calibrate
from sw.energy.technology import load_technology
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_checkpoint, open_model, open_source


def command(
    model: options.Model = None,
    text: Annotated[str, typer.Option(help="File, or novels/NAME.")] = "novels/persuasion",
    start: Annotated[int, typer.Option("--from", metavar="CHAR", help="First character.")] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens to read.")] = 2048,
    window: Annotated[int | None, typer.Option(help="Tokens read together; default 512.")] = None,
    calibrate_with: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            metavar="FILE",
            help="Text that fits scales, silent levels and salient channels; not the test text.",
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these rows, float beside them: name,name,...")
    ] = None,
    technology: Annotated[
        str, typer.Option(help="Technologies of the energies, by name or file.")
    ] = "22nm,45nm",
    memory: Annotated[
        str, typer.Option(help="Where weights and caches are, for energy: sram or dram.")
    ] = "sram",
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint that a container was converted from.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder for `firstspike report`.", metavar="DIR")
    ] = None,
    json: options.Json = None,
) -> None:
    """Measure every baseline; print a table, write rows."""
    begin = time.monotonic()
    options.positive("--tokens", tokens)
    if start < 0:
        raise UserError(f"--from must be 0 or more, not {start}")
    if memory not in ("sram", "dram"):
        raise UserError(f"--memory must be sram or dram, not {memory!r}")
    chosen = _chosen(only)
    technologies = [load_technology(name) for name in technology.split(",")]
    converted = open_model(model)
    source = open_checkpoint(checkpoint) if checkpoint else open_source(model, converted)
    if source is None:
        raise UserError(
            "the checkpoint of this container is not at hand, and float needs it; name it with "
            "--checkpoint"
        )
    if source.sha256 != converted.source["sha256"]:
        raise UserError(f"{source.name} is not the checkpoint that the container was made from")
    tokenizer = Tokenizer.from_spec(converted.tokenizer_spec)
    ids = torch.tensor(tokenizer.encode(resolve_text(text)[start : start + 16 * tokens])[:tokens])
    size = window or min(512, converted.config.context)
    screen = options.to_screen(json)
    calibration = None
    if calibrate_with is not None:
        words = tokenizer.encode(resolve_text(calibrate_with)[: 16 * 2048])[:2048]
        calibration = torch.tensor(words)
        converted = calibrate(converted, np.array(words), window=size, text=calibrate_with)
    comparison = Comparison(converted, source, ids, window=size, calibration=calibration)
    console = Console(file=screen)
    progress = Console(stderr=True)
    rows, masking = compare(
        comparison,
        technologies,
        baselines=chosen,
        memory=memory,
        report=lambda row: progress.print(
            f"{time.monotonic() - begin:6.0f} s  {row['label']}: {row['perplexity']:.3f}"
        ),
    )
    console.print(_table(rows, technologies[0].name))
    if masking is not None:
        console.print(_masking(masking))
    content = {
        "kind": "compare",
        "model": converted.name,
        "text": text,
        "from": start,
        "tokens": len(comparison.tokens),
        "window": size,
        "calibration": calibrate_with,
        "memory": memory,
        "seconds": time.monotonic() - begin,
        "rows": rows,
        "masking": masking,
    }
    options.write_json(json, content)
    if run is not None:
        options.write_run(run, "compare.json", content)


def _chosen(only: str | None):
    if only is None:
        return BASELINES
    names = {"float", *only.split(",")}
    if unknown := names - {baseline.name for baseline in BASELINES}:
        known = ", ".join(baseline.name for baseline in BASELINES)
        raise UserError(f"--only takes {known}; not {', '.join(sorted(unknown))}")
    return tuple(baseline for baseline in BASELINES if baseline.name in names)


def _table(rows: list[dict], technology: str) -> Table:
    table = Table(
        caption=f"steps, KB and uJ of a token; {technology}, events moved once per tile",
        box=box.SIMPLE,
        padding=(0, 0, 0, 1),
    )
    table.add_column("row", no_wrap=True)
    for column in ("ppl", "x float", "+-", "silent", "integer", "steps", "KB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("uJ", justify="right", no_wrap=True)
    for row in rows:
        energies = row["energy"][technology]["broadcast"]
        table.add_row(
            row["name"],
            f"{row['perplexity']:.3f}",
            f"{row['ratio']:.4f}",
            f"{row['difference_stderr']:.4f}",
            _share(row["silent"]),
            _share(row["integer"]),
            "" if row["steps"] is None else f"{row['steps']:,.0f}",
            f"{row['bytes'] / 1000:,.1f}",
            "-" if energies is None else f"{1e6 * energies['total']:.3f}",
        )
    return table


def _masking(masking: dict) -> str:
    factors = [tensor["factor"] for tensor in masking["tensors"]]
    verdict = "equal bit for bit" if masking["equal"] else "NOT EQUAL"
    return (
        f"M-TTFS (k = 0) against TTFS: accumulators of {masking['matrices']} matrices {verdict}; "
        f"{masking['factor']:.3f} times fewer spikes, by tensor {min(factors):.3f} to "
        f"{max(factors):.3f}"
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
