"""`firstspike report`: one self-contained page of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sw.convert.container import write_whole
from sw.energy.model import COUNTINGS
from sw.errors import UserError
from sw.report.build import build


def command(
    run: Annotated[Path, typer.Argument(help="Folder that `generate` or `compare` wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Page to write.")] = Path(
        "report.html"
    ),
    tensor: Annotated[
        str | None, typer.Option(help="Tensor whose spikes are shown, e.g. layers.2.attn_q.")
    ] = None,
    token: Annotated[
        int | None, typer.Option(help="Token whose spikes are shown; the last if absent.")
    ] = None,
    block: Annotated[int, typer.Option(help="Block of 32 channels that is shown.")] = 0,
    technology: Annotated[
        str | None, typer.Option(help="Whose energies are shown; the run's first if absent.")
    ] = None,
    counting: Annotated[
        str, typer.Option(help="Movement of events: broadcast or synapse.")
    ] = "broadcast",
) -> None:
    """Write the page."""
    if counting not in COUNTINGS:
        raise UserError(f"--counting must be one of {', '.join(COUNTINGS)}, not {counting!r}")
    page = build(
        run, tensor=tensor, token=token, block=block, technology=technology, counting=counting
    )
    write_whole(output, page.encode())
    print(f"{output}: {output.stat().st_size:,} bytes")
