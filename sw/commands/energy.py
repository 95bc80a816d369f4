"""`firstspike energy`: joules of a token, counters times cited constants."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from sw.code_tables import check_table
from sw.commands import options
from sw.commands.plan import TEXT
from sw.compare.baselines import BASELINES
from sw.compare.run import Comparison
from sw.crossbar import choose_crossbar
from sw.energy.claims import ROWS, Line, claims
from sw.energy.macro import open_macro
from sw.energy.measure import golden_run
from sw.energy.model import COUNTINGS, PARTS, energy
from sw.energy.technology import load_technology
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_model
from sw.progress import watching


def command(
    model: options.Model = None,
    text: Annotated[
        str | None, typer.Option(help="File, or novels/NAME; a built-in text if absent.")
    ] = None,
    start: Annotated[int, typer.Option("--from", metavar="CHAR", help="First character.")] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens to read.")] = 512,
    window: Annotated[int | None, typer.Option(help="Tokens read together; default 512.")] = None,
    code: options.Code = None,
    technology: Annotated[
        str, typer.Option(help="Constants: 22nm, 45nm, ye2023, or a TOML file.")
    ] = "22nm",
    memory: Annotated[str, typer.Option(help="Where weights and caches are: sram or dram.")] = (
        "sram"
    ),
    synapse: options.Synapse = "memory",
    device: options.DevicePreset = None,
    rows: options.Rows = None,
    clip: options.Clip = None,
    device_seed: options.DeviceSeed = None,
    macro: options.Macro = None,
    show_claims: Annotated[
        bool, typer.Option("--claims", help="The papers' claims beside ours, as a table.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Run the golden model on a text; print energy by part.

    On crossbars the weights' products are conversions; see `firstspike crossbar energy` for what a
    conversion costs, and how that is known.
    """
    options.positive("--tokens", tokens)
    if start < 0:
        raise UserError(f"--from must be 0 or more, not {start}")
    if memory not in ("sram", "dram"):
        raise UserError(f"--memory must be sram or dram, not {memory!r}")
    crossbar = choose_crossbar(synapse, device, rows=rows, clip=clip, seed=device_seed)
    if macro and not crossbar:
        raise UserError("--macro is for crossbars; add --synapse crossbar")
    if crossbar and show_claims:
        raise UserError("--claims chooses what it compares itself; leave --synapse crossbar out")
    constants, per_output = load_technology(technology), None
    if crossbar:
        arrays, per_output = open_macro(macro, crossbar)
        constants = constants.joined(arrays)
    converted = open_model(model)
    table = check_table(code, converted.table)
    characters = resolve_text(text)[start : start + 16 * tokens] if text else TEXT * (tokens // 16)
    ids = torch.tensor(Tokenizer.from_spec(converted.tokenizer_spec).encode(characters)[:tokens])
    size = min(window or 512, converted.config.context, len(ids))
    if size < 2:
        raise UserError(f"energy needs a text and a window of at least 2 tokens, not {size}")
    count = len(ids) // size * size
    screen = Console(file=options.to_screen(json))
    shape: dict[str, Any] = {"config": converted.config, "tokens": count, "window": size}
    if show_claims:
        comparison = Comparison(converted, None, ids, window=size)
        runs = {
            baseline.name: comparison.measure(baseline).activities
            for baseline in BASELINES
            if baseline.name in ROWS
        }
        lines = claims(runs, constants, load_technology("ye2023"), **shape)
        for line in markdown(lines):
            print(line, file=screen.file)
        options.write_json(json, {"claims": [vars(line) for line in lines]})
        return
    with watching("running the golden model", (converted.config.layers + 1) * count) as report:
        run = golden_run(converted, ids, window=size, table=table, crossbar=crossbar, report=report)
    activities = run.activities
    dense_bits = 8 if table == "integer" and not crossbar else None
    results = {
        counting: energy(
            activities.values(),
            constants,
            **shape,
            dense_bits=dense_bits,
            counting=counting,
            memory=memory,
            macro=per_output,
        )
        for counting in COUNTINGS
    }
    where = f"weights in {memory}" if crossbar is None else f"weights on {crossbar.preset}"
    shown = Table(title=f"{converted.name}, {table}, {constants.name}, {where}", box=box.SIMPLE)
    shown.add_column("nJ of a token")
    for counting in COUNTINGS:
        shown.add_column(
            "per synapse" if counting == "synapse" else "once per tile", justify="right"
        )
    for part in (*PARTS, "total"):
        shown.add_row(part, *(f"{1e9 * getattr(r, part):,.2f}" for r in results.values()))
    shares = (f"{result.measured / result.total:.1%}" for result in results.values())
    shown.add_row("from counters", *shares)
    screen.print(shown)
    options.write_json(
        json,
        {
            "model": converted.name,
            "table": table,
            "technology": constants.name,
            "memory": memory,
            "crossbar": dataclasses.asdict(crossbar) if crossbar else None,
            "tokens": count,
            "window": size,
            "constants": {name: c.as_json() for name, c in constants.constants.items()},
            "joules_per_token": {k: result.as_json() for k, result in results.items()},
        },
    )


def markdown(lines: list[Line]) -> list[str]:
    """Rows of a table for `docs/energy.md`."""
    rows = ["| claim | papers | here | why they differ |", "|---|---|---|---|"]
    for line in lines:
        theirs, ours = (
            "" if value is None else f"{value:.4f}" for value in (line.theirs, line.ours)
        )
        rows.append(f"| {line.claim} | {theirs} | {ours} | {line.reason} |")
    return rows
