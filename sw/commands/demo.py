"""`firstspike demo`: the whole way, from checkpoint to tokens out of generated hardware."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sw.commands import options
from sw.commands.generate import generate_run
from sw.generate import Run
from sw.opening import open_checkpoint, open_model, open_params

#: Facts of the hardware that the golden model does not predict.
MEASURED = ("cycles", "stalls")


def command(
    model: options.Model = None,
    prompt: Annotated[str, typer.Option(help="Text to continue.")] = "She was",
    tokens: Annotated[int, typer.Option(help="Tokens to generate.")] = 64,
    config: options.Config = options.DEFAULT_CONFIG,
    out: Annotated[Path, typer.Option(help="Folder for Verilog and container.")] = Path("build"),
) -> None:
    """Build, convert, generate in RTL and in the golden model, and compare; exit 1 if unequal."""
    from hw.build import write

    open_params(config)
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for file in write(config, out):
        print(f"built {file}")
    container = out / "model.safetensors"
    converted = open_model(model)
    converted.save(container)
    checkpoint = open_checkpoint(model).name
    print(f"converted {checkpoint} to {container} ({time.monotonic() - start:.1f} s)\n", flush=True)
    runs = {}
    for backend in ("rtl", "golden"):
        print(f"[{backend}]", flush=True)
        runs[backend] = generate_run(
            str(container), prompt=prompt, tokens=tokens, backend=backend, config=config
        )
        print(f"({_times(runs[backend])})\n", flush=True)
    for name, count in runs["rtl"].counters.items():
        print(f"{name:>15} {count}")
    differences = compare(runs["rtl"], runs["golden"])
    if differences:
        print("\n".join(differences))
        sys.exit(1)
    print(f"\nequal to the golden model: {tokens} tokens and all event counters")


def compare(rtl: Run, golden: Run) -> list[str]:
    """Say where tokens or event counters differ; empty if nowhere."""
    differences = []
    if rtl.tokens != golden.tokens:
        first = next(
            (i for i, (a, b) in enumerate(zip(rtl.tokens, golden.tokens, strict=False)) if a != b),
            min(len(rtl.tokens), len(golden.tokens)),
        )
        differences.append(f"tokens differ first at {first}")
    for name, expected in golden.counters.items():
        comparable = name in rtl.counters and name not in MEASURED
        if comparable and rtl.counters[name] != expected:
            differences.append(f"{name}: expected {expected}, got {rtl.counters[name]}")
    return differences


def _times(run: Run) -> str:
    return f"{run.wall_seconds:.1f} s, building the simulation {run.build_seconds:.1f} s"
