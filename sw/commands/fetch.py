"""`firstspike fetch`: models and texts into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sw.errors import UserError
from sw.load.fetch import (
    fetch_editorials,
    fetch_minilm,
    fetch_novels,
    fetch_polarity,
    fetch_smollm2,
)

SOURCES = {
    "smollm2-135m": fetch_smollm2,
    "novels": fetch_novels,
    "minilm": fetch_minilm,
    "polarity": fetch_polarity,
    "editorials": fetch_editorials,
}


def command(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(SOURCES)}.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Take it from this file instead of the network."),
    ] = None,
) -> None:
    """Bring a model or texts into the cache, and print where they are."""
    if name not in SOURCES:
        raise UserError(f"fetch knows {', '.join(SOURCES)}, not {name!r}")
    print(SOURCES[name](source))
