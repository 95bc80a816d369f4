"""Command ``python -m tools.cost``: fits the predictions of `hw/synth/cost.py` to syntheses.

With names of configurations it synthesizes these first (minutes each) and keeps their cells in
`tests/data/synthesis.json`. Then it writes `hw/synth/cost_table.py`, and says how far prediction
and synthesis are apart: as fitted to all, and as fitted to all others, which is what a
configuration that is not yet among them may expect. With `--stale` it generates the Verilog of all
(minutes) and names those whose hardware has changed since: small changes are no reason to repeat an
hour of synthesis.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hw.build import TOP, generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth import ecp5, tools
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
        *("token", "vector width", "encoder", "encoder width", "batch", "choices"),
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
    sizes = [features(CoreParams(CONFIGS[name])) for name in measured]
    tables = {}
    for what, names in USED.items():
        wanted = np.array([cells[what] for cells in measured.values()], float)
        rows = np.array([[each[name] for name in names] for each in sizes], float)
        found = _not_negative(rows / wanted[:, None], np.ones(len(wanted)))
        tables[what] = {f: round(float(c), 3) for f, c in zip(names, found, strict=True) if c}
    return tables


def _not_negative(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Solve least squares with coefficients of at least 0.

    Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    found = np.zeros(rows.shape[1])
    used: list[int] = []
    while True:
        slope = rows.T @ (wanted - rows @ found)
        slope[used] = 0
        if slope.max() < 1e-9:
            return found
        used.append(int(slope.argmax()))
        while True:
            trial = np.zeros_like(found)
            trial[used] = np.linalg.lstsq(rows[:, used], wanted, rcond=None)[0]
            low = [i for i in used if trial[i] <= 0]
            if not low:
                break
            step = min(found[i] / (found[i] - trial[i]) for i in low)
            found += step * (trial - found)
            used = [i for i in used if found[i] > 1e-9]
            found[[i for i in range(len(found)) if i not in used]] = 0
        found = trial


def errors(
    measured: Mapping[str, Mapping[str, int]], name: str, *, alone: bool
) -> dict[str, float]:
    """Relative error of each prediction of a configuration.

    Parameters
    ----------
    measured : mapping
        Cells of each configuration.
    name : str
        Of which one.
    alone : bool
        Whether the coefficients are fitted without it.
    """
    others = {other: cells for other, cells in measured.items() if not (alone and other == name)}
    sizes = features(CoreParams(CONFIGS[name]))
    return {
        what: sum(table.get(f, 0.0) * size for f, size in sizes.items()) / measured[name][what] - 1
        for what, table in fit(others).items()
    }


def comparison(measured: Mapping[str, Mapping[str, int]]) -> str:
    """Table of all errors in percent, for people."""
    lines = [f"{'':18}" + "".join(f"{what:>8} fitted  unseen" for what in COUNTED)]
    for name, cells in measured.items():
        both = [errors(measured, name, alone=alone) for alone in (False, True)]
        lines.append(
            f"{name:18}"
            + "".join(
                f"{cells[what]:>8,}" + "".join(f"{100 * each[what]:>+7.1f}%" for each in both)
                for what in COUNTED
            )
        )
    return "\n".join(lines)


def stale(kept: Mapping[str, Mapping]) -> list[str]:
    """Name the configurations whose Verilog is not that which was synthesized."""
    return [
        name
        for name, config in CONFIGS.items()
        if kept.get(name, {}).get("verilog") != digest(generate(CoreParams(config))[0])
    ]


def table_text(tables: Mapping[str, Mapping[str, float]], names: Iterable[str]) -> str:
    """Python text of the coefficients, fitted to the configurations of these names."""
    lines = [
        '"""Coefficients of `hw/synth/cost.py`; ``python -m tools.cost`` writes them."""',
        "",
        "#: Configurations whose synthesis they are fitted to.",
        "FITTED = (",
        *(f'    "{name}",' for name in sorted(names)),
        ")",
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
    parser.add_argument("--stale", action="store_true", help="name those whose Verilog changed")
    options = parser.parse_args(arguments)
    kept = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else {}
    try:
        for name in options.names:
            print(f"synthesizing {name}", file=sys.stderr, flush=True)
            kept[name] = synthesize(name)
            content = json.dumps(dict(sorted(kept.items())), indent=1) + "\n"
            write_whole(MEASURED, content.encode())
    except tools.ToolError as error:
        print(error, file=sys.stderr)
        return 2
    measured = {name: counted(kept[name]["cells"]) for name in CONFIGS if name in kept}
    write_whole(TABLE, table_text(fit(measured), measured).encode())
    print(f"wrote {TABLE.relative_to(ROOT)}\n{comparison(measured)}")
    if missing := [name for name in CONFIGS if name not in kept]:
        print(f"not synthesized yet: {' '.join(missing)}")
    if options.stale:
        print(f"changed since: {' '.join(stale(kept)) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
