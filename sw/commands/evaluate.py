"""`firstspike eval`: perplexity, or accuracy on a task, on the rungs of the ladder."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
import typer

from sw.code_tables import check_table
from sw.commands import evaluate_task, options
from sw.crossbar import choose_crossbar
from sw.errors import UserError
from sw.evaluate import RUNGS, evaluate
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_checkpoint, open_model, open_source


def command(
    model: options.Model = None,
    text: Annotated[str, typer.Option(help="File, or novels/NAME.")] = "novels/persuasion",
    start: Annotated[int, typer.Option("--from", metavar="CHAR", help="First character.")] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens to read.")] = 4096,
    window: Annotated[int | None, typer.Option(help="Tokens read together; default 512.")] = None,
    code: options.Code = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint that a container was converted from.")
    ] = None,
    rungs: Annotated[str, typer.Option(help="Rungs to measure.")] = ",".join(RUNGS),
    task: Annotated[
        str | None, typer.Option(help="Accuracy of an encoder on a task: polarity.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Sentences of the task at most.")] = None,
    synapse: options.Synapse = "memory",
    device: options.DevicePreset = None,
    adc_bits: options.AdcBits = None,
    programming_sigma: Annotated[
        float | None, typer.Option(help="Error of written cells, in levels.")
    ] = None,
    read_sigma: Annotated[
        float | None, typer.Option(help="Noise of a cell that is read, in levels.")
    ] = None,
    stuck_low: Annotated[
        float | None, typer.Option(help="Share of cells that stay at level 0.")
    ] = None,
    stuck_high: Annotated[
        float | None, typer.Option(help="Share of cells that stay at their largest level.")
    ] = None,
    drift: Annotated[
        float | None, typer.Option(help="What is left of conductances, 0.5..1.")
    ] = None,
    wire: Annotated[
        float | None, typer.Option(help="Bit line from row to row, times level 1.")
    ] = None,
    rows: options.Rows = None,
    clip: options.Clip = None,
    by_cells: Annotated[
        bool,
        typer.Option("--remap", help="Choose weights by what their crossbar cells have become."),
    ] = False,
    columns: Annotated[int, typer.Option(help="Columns of an array.")] = 64,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            "--device-seed",
            help="Of cells and noise; with --task, chooses the sentences that --limit leaves.",
        ),
    ] = None,
    json: options.Json = None,
) -> None:
    """Print the perplexity or accuracy of each rung, and the shares of silent and integer codes."""
    options.positive("--tokens", tokens)
    if start < 0:
        raise UserError(f"--from must be 0 or more, not {start}")
    chosen = tuple(rungs.split(","))
    if unknown := set(chosen) - set(RUNGS):
        raise UserError(f"rungs are {', '.join(RUNGS)}, not {', '.join(sorted(unknown))}")
    if task is not None:
        evaluate_task.run(
            task,
            model=model,
            checkpoint=checkpoint,
            code=code,
            rungs=chosen,
            seed=seed or 0,
            limit=limit,
            json=json,
        )
        return
    converted = open_model(model)
    source = open_checkpoint(checkpoint) if checkpoint else open_source(model, converted)
    if source is not None and source.sha256 != converted.source["sha256"]:
        raise UserError(f"{source.name} is not the checkpoint that the container was made from")
    table = check_table(code, converted.table)
    crossbar = choose_crossbar(
        synapse,
        device,
        adc_bits=adc_bits,
        programming_sigma=programming_sigma,
        read_sigma=read_sigma,
        stuck_low=stuck_low,
        stuck_high=stuck_high,
        drift=drift,
        wire=wire,
        rows=rows,
        clip=clip,
        seed=seed,
    )
    if by_cells and not crossbar:
        raise UserError("--remap is for crossbars; add --synapse crossbar")
    characters = resolve_text(text)[start : start + 16 * tokens]
    ids = Tokenizer.from_spec(converted.tokenizer_spec).encode(characters)[:tokens]
    screen = options.to_screen(json)
    result = evaluate(
        converted,
        source,
        torch.tensor(ids),
        window=window or min(512, converted.config.context),
        table=table,
        rungs=chosen,
        crossbar=crossbar,
        columns=options.positive("--columns", columns),
        by_cells=by_cells,
        report=lambda line: print(line, file=screen, flush=True),
    )
    if source is None:
        print("the checkpoint is not at hand: name it with --checkpoint for float", file=screen)
    if result.shares:
        _print_shares(result.shares, screen)
    options.write_json(json, dataclasses.asdict(result))


def _print_shares(shares: dict, screen) -> None:
    for weight in ("elements", "macs"):
        share = shares[weight]
        print(
            f"{weight:>9}: {share['silent']:7.2%} silent, {share['integer']:6.2%} integer",
            file=screen,
        )
    worst = max(shares["matrices"], key=lambda name: shares["matrices"][name]["integer"])
    print(f"  largest: {shares['matrices'][worst]['integer']:.2%} integer ({worst})", file=screen)
