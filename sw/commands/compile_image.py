"""`firstspike compile`: a device image for one configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sw.code_tables import check_table
from sw.commands import options
from sw.compile.image import compile_model
from sw.opening import open_model, open_params


def command(
    model: options.Model = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Image to write.")] = Path(
        "image.safetensors"
    ),
    config: options.Config = options.DEFAULT_CONFIG,
    integrator: options.Integrator = None,
    code: options.Code = None,
) -> None:
    """Lay the model's matrices out in tiles and groups."""
    params = open_params(config, integrator)
    converted = open_model(model)
    table = check_table(code, converted.table)
    image = compile_model(converted, params, name=config, table=table)
    image.save(output)
    words = sum(matrix.words.size for matrix in image.matrices.values())
    beats = words // params.words_per_beat
    fits = "fits" if beats <= params.memory_beats else "is streamed through"
    print(
        f"{output}: {len(image.matrices)} matrices, {beats:,} beats of {params.beat_bits} bits; "
        f"{fits} a memory of {params.memory_beats:,} beats ({config} {image.configuration})"
    )
