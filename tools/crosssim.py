"""Command ``python -m tools.crosssim``: the golden crossbar beside CrossSim, an independent one.

CrossSim (https://github.com/sandialabs/cross-sim) and its needs, numpy and scipy, are wherever the
person put them; nothing of it is part of this project.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from hw.spec.codes import TABLES
from hw.spec.crossbar import PRESETS, UNIT, UniformConverter
from sw.golden.codes import from_codes
from sw.golden.crossbar import CrossbarArrays

SIZE, BATCH, LARGEST = 256, 64, 7

#: Parts of a level in which analog sums are compared.
FINE = 16

#: Cases by name: CrossSim's settings, with errors as shares of the largest conductance.
CASES: dict[str, dict] = {
    "12-bit converter a step": {"adc": True, "repeats": 3},
    "read noise 2 %": {"read": 0.02, "repeats": 3},
    "programming error 5 %": {"program": 0.05, "repeats": 8},
    "wire 1e-5 a cell": {"wire": 1e-5, "repeats": 1},
}


def golden(weights: np.ndarray, levels: np.ndarray, options: dict) -> dict[str, float]:
    """Run the golden model as the child runs CrossSim."""
    base = PRESETS["ideal"].replace(rows=SIZE)
    fine = UniformConverter(bits=14, step=UNIT // FINE, value=1)
    changes = {
        "read_sigma": LARGEST * options.get("read", 0.0),
        "programming_sigma": LARGEST * options.get("program", 0.0),
        "wire": options.get("wire", 0.0) / LARGEST,
    }
    converter = UniformConverter(bits=12) if options.get("adc") else fine
    encoded = from_codes(torch.from_numpy(levels.T.copy()), table=TABLES["signed16"])
    seconds, errors = [], []
    for seed in range(max(options["repeats"], 3)):
        crossbar = base.replace(converter=converter, seed=seed, **changes)
        arrays = CrossbarArrays(torch.from_numpy(weights.T.copy()), crossbar, number=0, lanes=SIZE)
        start = time.perf_counter()
        sums, _ = arrays.group_sums(encoded)
        seconds.append(time.perf_counter() - start)
        scale = 1 if options.get("adc") else FINE
        errors.append(sums[0].numpy().T / scale - weights @ levels)
    return {
        "seconds": min(seconds),
        "std": float(np.mean([error.std() for error in errors])),
        "largest": float(max(abs(error).max() for error in errors)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run both; print a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.crosssim", description=__doc__)
    parser.add_argument("source", type=Path, help="folder that holds CrossSim's `simulator`")
    parser.add_argument("--python", default=sys.executable, help="interpreter with numpy and scipy")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; repeat")
    options = parser.parse_args(arguments)
    cases = {name: CASES[name] for name in options.case or CASES}
    rng = np.random.default_rng(1)
    weights = rng.integers(-LARGEST, LARGEST + 1, (SIZE, SIZE))
    levels = rng.integers(0, 16, (SIZE, BATCH))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        np.savez(data, weights=weights, levels=levels)
        child = Path(__file__).with_name("crosssim_child.py")
        environment = {**os.environ, "PYTHONPATH": str(options.source), "OMP_NUM_THREADS": "1"}
        environment["OPENBLAS_NUM_THREADS"] = "1"
        done = subprocess.run(
            [options.python, str(child), str(data), json.dumps(cases)],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    theirs = json.loads(done.stdout.splitlines()[-1])
    print("| case | CrossSim: error | golden: error | CrossSim MMAC/s | golden MMAC/s | ratio |")
    print("|---|---|---|---|---|---|")
    products = SIZE * SIZE * BATCH / 1e6
    for name, case in cases.items():
        ours, other = golden(weights, levels, dict(case)), theirs[name]
        rates = products / other["seconds"], products / ours["seconds"]
        print(
            f"| {name} | {other['std']:.3f} (largest {other['largest']:.3g}) "
            f"| {ours['std']:.3f} (largest {ours['largest']:.3g}) "
            f"| {rates[0]:.1f} | {rates[1]:.1f} | {rates[1] / rates[0]:.1f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
