"""Options that several subcommands share."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hw.spec.configs import DEFAULT
from hw.spec.crossbar import PRESETS
from hw.spec.params import CoreParams
from sw.convert.container import write_whole
from sw.crossbar import SYNAPSES
from sw.errors import UserError

Model = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="Container, GGUF file or short name (smollm2-135m); the bundled model if absent.",
    ),
]
Code = Annotated[str | None, typer.Option("--code", help="Code table; the model's own if absent.")]
Config = Annotated[str, typer.Option("--config", help="Hardware configuration.")]
Integrator = Annotated[
    str | None, typer.Option("--integrator", help="Integrator; the configuration's if absent.")
]
Image = Annotated[
    Path | None, typer.Option("--image", help="Device image made by `firstspike compile`.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        help="Timing of external memory in RTL: ideal, dram, or e.g. latency=30,granule=64.",
    ),
]
Vector = Annotated[
    str | None,
    typer.Option(
        "--vector",
        help="Who does all but the matrices: device or host; the device if it can.",
    ),
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the results as JSON; - is standard output.")
]
Synapse = Annotated[
    str, typer.Option("--synapse", help=f"Where weights are: {' or '.join(SYNAPSES)}.")
]
DevicePreset = Annotated[
    str | None, typer.Option("--device", help=f"Preset of crossbars: {', '.join(PRESETS)}.")
]
AdcBits = Annotated[
    int | None, typer.Option("--adc-bits", help="Bits of crossbars' converters, 1..14.")
]
Rows = Annotated[
    int | None,
    typer.Option("--rows", help="Rows of a crossbar array, one scale group: 32 or 256."),
]
Clip = Annotated[
    bool | None,
    typer.Option(
        "--clip", help="Weights that crossbars cannot hold become the nearest that they can."
    ),
]
DeviceSeed = Annotated[
    int | None, typer.Option("--device-seed", help="Seed of crossbars' cells and noise.")
]
Macro = Annotated[
    str | None,
    typer.Option(
        "--macro", help="Constants of the crossbars' macro, or a TOML file; the device's if absent."
    ),
]
DEFAULT_CONFIG = DEFAULT


#: Who does norms, attention and all else between the matrices.
VECTORS = ("host", "device")


def vector(choice: str | None, params: CoreParams, config: str, *, encoder: bool = False) -> str:
    """Return who works on vectors, if nothing is chosen the device where it can.

    Raises
    ------
    UserError
        If there is no such choice, or the device cannot.
    """
    able = params.encoder if encoder else bool(params.vector_words)
    if choice is None:
        return "device" if able else "host"
    if choice not in VECTORS:
        raise UserError(f"--vector must be one of {', '.join(VECTORS)}, not {choice!r}")
    if choice == "device" and not params.vector_words:
        raise UserError(
            f"configuration {config} has no vector memory, so the host must do what is between the "
            "matrices; choose another, such as mac8-token"
        )
    if choice == "device" and not able:
        raise UserError(
            f"configuration {config} runs no encoders, so the host must do what is between the "
            "matrices; choose another, such as mac8-encoder"
        )
    return choice


def positive(name: str, value: int) -> int:
    """Return a count that must be at least 1.

    Raises
    ------
    UserError
        If it is not.
    """
    if value < 1:
        raise UserError(f"{name} must be at least 1, not {value}")
    return value


def write_json(path: Path | None, content: dict) -> None:
    """Write results where ``--json`` says, whole or not at all."""
    if path is None:
        return
    text = json.dumps(content, indent=2) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        write_whole(path, text.encode())


def to_screen(json_path: Path | None):
    """Stream for people: standard error when JSON goes to standard output."""
    return sys.stderr if str(json_path) == "-" else sys.stdout


def write_run(folder: Path, name: str, content: dict) -> None:
    """Write one file of a run folder, which is made if it does not exist.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    write_whole(folder / name, (json.dumps(content, indent=1) + "\n").encode())
