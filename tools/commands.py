"""Runs the commands that pages are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(arguments: str, folder: Path) -> None:
    """Run `firstspike` with arguments in a folder, on one thread; exit where it fails."""
    print(f"$ firstspike {arguments}", file=sys.stderr, flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sw.cli", *arguments.split()]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"error: firstspike {arguments} ended with {done.returncode}")


def make_missing(steps: dict[str, str], folder: Path) -> None:
    """Run the arguments of every file that is not in the folder."""
    for file, arguments in steps.items():
        if not (folder / file).is_file():
            run(arguments, folder)
