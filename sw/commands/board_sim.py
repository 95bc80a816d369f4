"""`firstspike board-sim`: a simulated board behind a pseudo-terminal."""

from __future__ import annotations

import importlib
import time
from typing import Annotated

import typer

from sw.commands.generate import BOARD_CONFIG
from sw.errors import UserError
from sw.opening import open_params


def command(
    config: Annotated[str, typer.Option(help="Hardware configuration.")] = BOARD_CONFIG,
    board: Annotated[str, typer.Option(help="Board.")] = "ulx3s-85f",
    damage: Annotated[
        float, typer.Option(help="Share of frames to damage, in either direction.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the damage.")] = 0,
) -> None:
    """Simulate a board, serial line included, until interrupted."""
    open_params(config)  # refuses names that are none
    if not 0 <= damage <= 1:
        raise UserError(f"--damage must be a share from 0 to 1, not {damage:g}")
    sim = importlib.import_module("sim.board")
    with sim.serve(config, board=board, damage=damage, seed=seed) as served:
        typer.echo(
            f"a board answers on {served.port}; in another terminal: firstspike generate "
            f"--backend serial --port {served.port} --config {config}"
        )
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            typer.echo("the board is gone")
