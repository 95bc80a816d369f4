"""Command ``python -m hw.synapse.crossbar``: Verilog of a macro, in three forms."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hw.build import convert
from hw.spec.crossbar import PRESETS
from hw.synapse.crossbar.behaviour import MODULE, behaviour, stub
from hw.synapse.crossbar.macro import CrossbarMacro, check


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.synapse.crossbar", description=__doc__)
    parser.add_argument("--device", default="ideal", help=f"preset: {', '.join(PRESETS)}")
    parser.add_argument("--outputs", type=int, default=8, help="outputs of the macro")
    parser.add_argument("--seed", type=int, default=0, help="of cells and noise")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    options = parser.parse_args(arguments)
    if options.device not in PRESETS:
        known = ", ".join(PRESETS)
        print(f"There is no preset {options.device!r}; choose {known}.", file=sys.stderr)
        return 2
    try:
        crossbar = PRESETS[options.device].replace(seed=options.seed)
        check(crossbar, outputs=options.outputs, elaboration="serial")
    except ValueError as error:
        print(f"Such a macro cannot be: {error}.", file=sys.stderr)
        return 2
    texts = {
        "serial": convert(CrossbarMacro(crossbar, outputs=options.outputs), MODULE),
        "behaviour": behaviour(crossbar, options.outputs),
        "stub": stub(crossbar, options.outputs),
    }
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = options.out / f"{options.device}_{name}.v"
            path.write_text(text, encoding="utf-8", newline="\n")
            print(path)
    except OSError as error:
        print(f"Cannot write to {options.out}: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
