"""`firstspike convert`: from a checkpoint to a container."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from sw.code_tables import check_table
from sw.commands import options
from sw.commands.inspect import matrix_table
from sw.commands.plan_budget import plan
from sw.convert.calibrate import calibrate
from sw.convert.convert import convert
from sw.convert.silence import parse_thresholds, with_thresholds
from sw.convert.walk import parse_share
from sw.errors import UserError
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_checkpoint


def command(
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="[CHECKPOINT]", help="GGUF file or short name.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Container to write.")] = Path(
        "model.safetensors"
    ),
    code: options.Code = None,
    calibrate_with: Annotated[
        str | None, typer.Option("--calibrate", metavar="FILE", help="Text, or novels/NAME.")
    ] = None,
    start: Annotated[
        int, typer.Option("--from", metavar="CHAR", help="First character of the text.")
    ] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens to calibrate with.")] = 2048,
    silence: Annotated[
        list[str] | None,
        typer.Option(
            "--silence",
            metavar="SITE=SCALES",
            help="Silence threshold of a site, e.g. ffn_down=1.25; 0.5 if absent. May be repeated.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Plan constants and thresholds: perplexity may rise by this over the most "
            "accurate plan, e.g. 1%.",
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What a plan saves: energy, bytes or cycles.")
    ] = "energy",
    integers: Annotated[
        str, typer.Option(metavar="SHARE", help="Most integers among the elements of a plan.")
    ] = "3%",
    single: Annotated[
        bool,
        typer.Option("--global", help="Plan one factor and threshold for all tensors, to compare."),
    ] = False,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for `firstspike report`.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Convert, and print what each tensor became."""
    options.positive("--tokens", tokens)
    if start < 0:
        raise UserError(f"--from must be 0 or more, not {start}")
    if not output.parent.is_dir():
        raise UserError(f"cannot write {output}: there is no folder {output.parent}")
    thresholds = parse_thresholds(silence or [])
    source = open_checkpoint(checkpoint)
    table = check_table(code, "companded")
    model = with_thresholds(convert(source, table=table), thresholds)
    console = Console(file=options.to_screen(json))
    if budget is not None:
        if thresholds:
            raise UserError("--budget chooses thresholds itself; leave --silence out")
        calibrate_with = calibrate_with or "novels/emma"
        model, record = plan(
            source,
            model,
            text=calibrate_with,
            start=start,
            tokens=tokens,
            budget=parse_share("--budget", budget),
            objective=objective,
            largest_integer=parse_share("--integers", integers),
            table=check_table(code, "companded") if code else None,
            single=single,
            console=console,
        )
        options.write_json(json, record)
        if run is not None:
            options.write_run(run, "plan.json", record)
    elif calibrate_with is not None:
        text = resolve_text(calibrate_with)[start : start + 16 * tokens]
        ids = Tokenizer.from_spec(model.tokenizer_spec).encode(text)[:tokens]
        if not ids:
            raise UserError(f"{calibrate_with} has no text at character {start}")
        window = min(512, model.config.context)
        model = calibrate(model, np.array(ids), window=window, text=calibrate_with)
    model.save(output)
    console.print(matrix_table(model))
    fitted = f"fitted to {calibrate_with}" if calibrate_with else "as shipped"
    console.print(f"quantizers {fitted}; code table {model.table}")
    console.print(f"{output}: {output.stat().st_size:,} bytes")
