"""`firstspike convert`: from a checkpoint to a container."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from hw.spec.codes import BLOCK
from hw.spec.crossbar import ROWS
from sw.code_tables import check_table
from sw.commands import options
from sw.commands.convert_encoder import convert_task_model
from sw.commands.inspect import matrix_table
from sw.commands.plan_budget import plan
from sw.convert.calibrate import calibrate
from sw.convert.convert import convert
from sw.convert.four_bits import Loss, four_bit_weights
from sw.convert.hessians import decoder_hessians, held_out_tokens
from sw.convert.regroup import regroup
from sw.convert.silence import parse_thresholds, with_thresholds
from sw.convert.walk import parse_share
from sw.errors import UserError
from sw.load.checkpoint import EncoderCheckpoint
from sw.load.fetch import resolve_text
from sw.load.tokenizer import Tokenizer
from sw.opening import open_any_checkpoint


def command(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]",
            help="GGUF file, Hugging Face folder, file of `train`, or short name.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Container to write.")] = Path(
        "model.safetensors"
    ),
    code: options.Code = None,
    calibrate_with: Annotated[
        str | None,
        typer.Option("--calibrate", metavar="FILE", help="Text, novels/NAME, or polarity."),
    ] = None,
    start: Annotated[
        int, typer.Option("--from", metavar="CHAR", help="First character of the text.")
    ] = 0,
    tokens: Annotated[int, typer.Option(help="Tokens to calibrate with.")] = 2048,
    weights: Annotated[
        str | None,
        typer.Option(help="What float matrices become, w4 or w8; default w8, encoders w4."),
    ] = None,
    compensate: Annotated[
        bool | None,
        typer.Option(
            "--compensate/--rounding",
            help="How w4 is chosen: errors compensated (the default), or plain rounding.",
        ),
    ] = None,
    silence: Annotated[
        list[str] | None,
        typer.Option(
            "--silence",
            metavar="SITE=SCALES",
            help="Silence threshold of a site, e.g. ffn_down=1.25; 0.5 if absent. May be repeated. "
            "Or the share of silent elements, e.g. 0.3.",
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
        str, typer.Option(help="What a plan saves: energy, bytes, cycles or events.")
    ] = "energy",
    integers: Annotated[
        str, typer.Option(metavar="SHARE", help="Most integers among the elements of a plan.")
    ] = "3%",
    single: Annotated[
        bool,
        typer.Option("--global", help="Plan one factor and threshold for all tensors, to compare."),
    ] = False,
    rows: Annotated[
        int | None,
        typer.Option(help="Inputs that share a scale, those of a crossbar array: 32 or 256."),
    ] = None,
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
    shares = [text for text in silence or [] if "=" not in text]
    share = _share(shares)
    thresholds = parse_thresholds([text for text in silence or [] if text not in shares])
    if weights not in (None, "w4", "w8"):
        raise UserError(f"--weights must be w4 or w8, not {weights!r}")
    if rows not in (None, *ROWS):
        raise UserError(f"--rows must be one of {', '.join(map(str, ROWS))}, not {rows}")
    source = open_any_checkpoint(checkpoint)
    table = check_table(code, "companded")
    console = Console(file=options.to_screen(json))
    if isinstance(source, EncoderCheckpoint):
        if rows is not None:
            raise UserError("--rows is for decoders, which crossbars run; leave it out")
        if budget is not None:
            raise UserError("--budget plans decoders; an encoder's codes are trained: leave it out")
        encoder, losses = convert_task_model(
            source,
            table=None if code is None else table,
            thresholds=thresholds,
            silence=share,
            text=calibrate_with,
            tokens=tokens,
            four_bits=weights != "w8",
            compensate=compensate,
        )
        encoder.save(output)
        _print_losses(losses, console)
        console.print(f"quantizers: {encoder.source['quantizers']}; code table {encoder.table}")
        console.print(f"{output}: {output.stat().st_size:,} bytes")
        return
    planning = budget is not None or share is not None
    if planning:
        if budget is not None and share is not None:
            raise UserError("--budget and --silence SHARE are two ways to plan; give one")
        if rows not in (None, BLOCK):
            raise UserError(f"a plan is for scales of {BLOCK} inputs; leave --rows {rows} out")
        if thresholds:
            raise UserError("a plan chooses thresholds itself; leave --silence SITE=SCALES out")
        calibrate_with = calibrate_with or "novels/emma"
    ids = None
    if calibrate_with is not None:
        text = resolve_text(calibrate_with)[start : start + 16 * tokens]
        ids = np.array(Tokenizer.from_spec(source.tokenizer_spec).encode(text)[:tokens])
        if not len(ids):
            raise UserError(f"{calibrate_with} has no text at character {start}")
    window = min(512, source.config.context)
    losses = []
    if weights == "w4":
        parts = (None, None) if ids is None else held_out_tokens(ids, window)
        hessians, held_out = (
            None if part is None or not needed else decoder_hessians(source, part, window=window)
            for part, needed in zip(parts, (compensate is not False, True), strict=True)
        )
        source, losses = four_bit_weights(
            source, compensate=compensate is not False, hessians=hessians, held_out=held_out
        )
    model = with_thresholds(convert(source, table=table), thresholds)
    rows = rows or BLOCK
    if rows > BLOCK:
        model = regroup(model, rows)
    if planning:
        model, record = plan(
            source,
            model,
            text=str(calibrate_with),
            start=start,
            tokens=tokens,
            budget=parse_share("--budget", budget or "0"),
            silent=share,
            objective=objective,
            largest_integer=parse_share("--integers", integers),
            table=table if code else None,
            single=single,
            console=console,
        )
        options.write_json(json, record)
        if run is not None:
            options.write_run(run, "plan.json", record)
    elif ids is not None:
        model = calibrate(model, ids, window=window, text=str(calibrate_with), shared=rows // BLOCK)
    model.save(output)
    console.print(matrix_table(model))
    _print_losses(losses, console)
    fitted = f"fitted to {calibrate_with}" if calibrate_with else "as shipped"
    console.print(f"quantizers {fitted}; code table {model.table}")
    console.print(f"{output}: {output.stat().st_size:,} bytes")


def _share(texts: list[str]) -> float | None:
    """Share of silent elements, if one is wanted."""
    try:
        shares = [float(text) for text in texts]
    except ValueError:
        parse_thresholds(texts)
        raise
    if len(shares) > 1 or not all(0 < share < 1 for share in shares):
        raise UserError(f"--silence SHARE is one number between 0 and 1, not {', '.join(texts)}")
    return shares[0] if shares else None


def _print_losses(losses: list[Loss], console: Console) -> None:
    """Show what 4-bit weights cost, against plain rounding."""
    if not losses:
        return
    table = Table(title="square error of outputs over their squares, text held out")
    for column in ("matrix", "rounding", "chosen"):
        table.add_column(column, justify="left" if column == "matrix" else "right")
    for loss in losses:
        table.add_row(loss.matrix, f"{loss.rounding:.3e}", f"{loss.chosen:.3e}")
    means = (np.mean([loss[i] for loss in losses]) for i in (1, 2))
    table.add_row("mean", *(f"{mean:.3e}" for mean in means))
    console.print(table)
