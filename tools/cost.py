"""Command ``python -m tools.cost``: fits the predictions of `hw/synth/cost.py` to syntheses.

With names of configurations it synthesizes these first (minutes each) and keeps their cells in
`tests/data/synthesis.json`. Then it writes `hw/synth/cost_table.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hw.build import TOP, generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth import ecp5
from hw.synth.cost import features
from sw.convert.container import write_whole

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "tests" / "data" / "synthesis.json"
TABLE = ROOT / "hw" / "synth" / "cost_table.py"

#: Cells that synthesis may give, by what is predicted; a carry cell is two LUT4.
COUNTED: dict[str, Mapping[str, int]] = {
    "LUT": {"LUT4": 1, "CCU2C": 2},
    "DSP": {"MULT18X18D": 1},
    "BRAM": {"DP16KD": 1},
}

#: What each grows with, of :func:`hw.synth.cost.features`.
USED: dict[str, tuple[str, ...]] = {
    "LUT": (
        *("one", "mac lanes", "spike", "spike lanes", "streams", "external", "sub tiles"),
        *("token", "vector width", "encoder", "encoder width", "batch", "memory"),
    ),
    "DSP": ("one", "mac lanes", "streams", "token", "vector width", "encoder", "encoder width"),
    "BRAM": ("one", "token", "vector width", "encoder", "batch", "memories"),
}


def counted(cells: Mapping[str, int]) -> dict[str, int]:
    """Count what is predicted."""
    return {
        what: sum(weight * cells.get(kind, 0) for kind, weight in kinds.items())
        for what, kinds in COUNTED.items()
    }


def fit(measured: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    """Least squares of relative errors, without negative coefficients."""
    sizes = {name: features(CoreParams(CONFIGS[name])) for name in measured}
    tables = {}
    for what in COUNTED:
        names = list(USED[what])
        wanted = np.array([measured[name][what] for name in measured], float)
        while True:
            rows = np.array([[sizes[name][f] for f in names] for name in measured], float)
            found, *_ = np.linalg.lstsq(rows / wanted[:, None], np.ones(len(wanted)), rcond=None)
            if found.min() >= 0:
                break
            del names[int(found.argmin())]
        tables[what] = {f: round(float(c), 3) for f, c in zip(names, found, strict=True) if c}
    return tables


def table_text(tables: Mapping[str, Mapping[str, float]]) -> str:
    """Python text of the coefficients."""
    lines = [
        '"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""',
        "",
    ]
    for what, table in tables.items():
        lines += [f"{what} = {{", *(f'    "{name}": {c},' for name, c in table.items()), "}", ""]
    return "\n".join(lines)


def digest(verilog: str) -> str:
    """Fingerprint of Verilog, without the line that names its generator."""
    return hashlib.sha256(verilog.partition("\n")[2].encode()).hexdigest()[:16]


def synthesize(name: str) -> dict:
    """Cells of a configuration, and of which Verilog."""
    text, _ = generate(CoreParams(CONFIGS[name]))
    with tempfile.TemporaryDirectory() as folder:
        netlist = ecp5.synthesize(text, TOP, Path(folder), ports={})
    cells = dict(sorted(Counter(netlist.cells.values()).items()))
    return {"version": version(), "verilog": digest(text), "cells": cells}


def version() -> str:
    """Commit of the sources; ``-dirty`` if a source of the hardware or the compiler differs."""
    commit = _git("describe", "--always")
    # The table of coefficients is what this tool writes itself.
    changed = _git("status", "--porcelain", "--", "hw", "sw", f":!{TABLE.relative_to(ROOT)}")
    return commit + "-dirty" * bool(changed)


def _git(*command: str) -> str:
    found = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.cost", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CONFIGS, []], help="to synthesize first")
    options = parser.parse_args(arguments)
    kept = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else {}
    for name in options.names:
        print(f"synthesizing {name}", file=sys.stderr, flush=True)
        kept[name] = synthesize(name)
        write_whole(MEASURED, (json.dumps(dict(sorted(kept.items())), indent=1) + "\n").encode())
    tables = fit({name: counted(entry["cells"]) for name, entry in kept.items()})
    write_whole(TABLE, table_text(tables).encode())
    print(f"wrote {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
