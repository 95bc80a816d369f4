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
from sw.convert.calibrate import calibrate
from sw.convert.convert import convert
from sw.convert.silence import parse_thresholds, with_thresholds
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
    if calibrate_with is not None:
        text = resolve_text(calibrate_with)[start : start + 16 * tokens]
        ids = Tokenizer.from_spec(model.tokenizer_spec).encode(text)[:tokens]
        if not ids:
            raise UserError(f"{calibrate_with} has no text at character {start}")
        window = min(512, model.config.context)
        model = calibrate(model, np.array(ids), window=window, text=calibrate_with)
    model.save(output)
    console = Console()
    console.print(matrix_table(model))
    fitted = f"fitted to {calibrate_with}" if calibrate_with else "as shipped"
    console.print(f"quantizers {fitted}; code table {model.table}")
    console.print(f"{output}: {output.stat().st_size:,} bytes")
