"""`firstspike train`: fine-tunes an encoder, with quantization in the loop if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sw.code_tables import check_table
from sw.commands import options
from sw.errors import UserError
from sw.load.fetch import polarity
from sw.load.polarity import SPLITS
from sw.opening import open_encoder
from sw.train.polarity import CLASSES, Plan, save_trained, train_polarity

TASKS = ("polarity",)


def command(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}.")],
    model: Annotated[
        str, typer.Option(help="Encoder to begin with: minilm, a folder, or a trained file.")
    ] = "minilm",
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 0,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "polarity.safetensors"
    ),
    epochs: Annotated[
        float, typer.Option(help="Epochs in float, of a model that is not trained yet.")
    ] = 2.0,
    aware_epochs: Annotated[
        float, typer.Option(help="Epochs with quantization in the loop.")
    ] = 1.0,
    dead_zone: Annotated[
        int | None,
        typer.Option(metavar="K", help="Train with levels within K of zero silent; 0: only codes."),
    ] = None,
    silence: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Train with this share of elements silent, e.g. 0.6."),
    ] = None,
    fit: Annotated[
        int,
        typer.Option(
            metavar="SENTENCES",
            help="Before that, fit matrices to the float model on so many sentences, layer by "
            "layer; then --aware-epochs may be 0.",
        ),
    ] = 0,
    rate: Annotated[float, typer.Option(help="Highest learning rate of the encoder.")] = 6e-5,
    code: options.Code = None,
    limit: Annotated[int | None, typer.Option(help="Sentences to train with at most.")] = None,
) -> None:
    """Train, show progress, and write a checkpoint that every other command loads."""
    if task not in TASKS:
        raise UserError(f"train knows the task {', '.join(TASKS)}, not {task!r}")
    if dead_zone is not None and silence is not None:
        raise UserError("give --dead-zone or --silence, not both")
    if dead_zone is not None and not 0 <= dead_zone <= 31:
        raise UserError(f"--dead-zone must be 0..31, not {dead_zone}")
    if silence is not None and not 0 < silence < 1:
        raise UserError(f"--silence must be between 0 and 1, not {silence}")
    if seed < 0:
        raise UserError(f"--seed must be 0 or more, not {seed}")
    for name, value in (
        ("--epochs", epochs),
        ("--rate", rate),
    ):
        if not value > 0:
            raise UserError(f"{name} must be above 0, not {value}")
    if fit < 0:
        raise UserError(f"--fit must be 0 or more, not {fit}")
    if fit and dead_zone is None and silence is None:
        raise UserError("--fit needs --dead-zone K or --silence SHARE")
    if not (aware_epochs > 0 or (fit and aware_epochs == 0)):
        raise UserError(f"--aware-epochs must be above 0, or 0 with --fit, not {aware_epochs}")
    if not output.parent.is_dir():
        raise UserError(f"cannot write {output}: there is no folder {output.parent}")
    table = check_table(code, "companded")
    checkpoint = open_encoder(model)
    if checkpoint.config.labels not in (0, CLASSES):
        raise UserError(
            f"{model} has a head of {checkpoint.config.labels} classes, {task} has {CLASSES}; "
            "begin with an encoder without a head"
        )
    if checkpoint.config.labels and dead_zone is None and silence is None:
        raise UserError(f"{model} is trained already; add --dead-zone K or --silence SHARE")
    sentences = {split: polarity(split) for split in SPLITS}
    if limit is not None:
        sentences["train"] = sentences["train"][: options.positive("--limit", limit)]
    plan = Plan(
        seed=seed,
        epochs=epochs,
        aware_epochs=aware_epochs,
        fit=fit,
        rate=rate,
        table=table,
        dead_zone=dead_zone,
        silence=silence,
    )
    console = Console(stderr=True)
    trained, training = train_polarity(checkpoint, sentences, plan, console=console)
    save_trained(output, trained, checkpoint, training)
    print(f"{output}: {output.stat().st_size:,} bytes")
