"""Measure what the cores cost on an ECP5: `make bench-area` writes `docs/area.md` anew.

Synthesizes the matrix engines of both integrators and a plain dense one at several widths, and the
cores that run tokens; places and routes these, and the smaller engines. Takes about three
hours on two cores. With `--only` one core is measured; the page has all that are kept in
`docs/area`, each with its date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hw.baseline.core import DenseCore, DenseParams
from hw.build import generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreConfig, CoreParams
from hw.synth import tools
from sw.convert.container import write_whole
from tools.area_job import FREQUENCY, SEEDS, Job
from tools.area_page import page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "area.md"

#: What was measured, a file for each core.
RESULTS = ROOT / "docs" / "area"

#: Netlists, reports and logs.
FOLDER = ROOT / "build" / "area"

KINDS = {"spike": "spike", "mac": "mac", "dense": "mac"}
WIDTHS = (16, 32, 64)

#: Widths that are placed and routed; the second stands beside other engines in `docs/peers.md`.
PLACED = (16, 32)

#: Integrators and lanes of the cores that run tokens.
TOKEN_KINDS = ("spike", "mac")
TOKEN_WIDTHS = (16, 32)


def config(integrator: str, lanes: int) -> CoreConfig:
    """Core with 128 MiB of external memory, for the matrices of SmolLM2-135M."""
    return CoreConfig(
        lanes=lanes,
        memory_beats=(128 << 20) // (lanes // 2),
        max_inputs=1536,
        max_outputs=1536,
        integrator=integrator,
        memory="axi",
        axi_data_width=4 * lanes,
    )


def cores() -> list[Job]:
    """All that is measured."""
    engines = [Job(kind, n, placed=n in PLACED) for n in WIDTHS for kind in KINDS]
    tokens = [Job(kind, n, tokens=True, placed=True) for n in TOKEN_WIDTHS for kind in TOKEN_KINDS]
    return engines + tokens


def verilog(job: Job) -> tuple[str, dict]:
    """Verilog and manifest of a core, or of the plain engine."""
    if job.tokens:
        return generate(CoreParams(CONFIGS[job.name]))
    chosen = config(KINDS[job.kind], job.lanes)
    if job.kind == "dense":
        return generate(DenseParams(chosen), DenseCore)
    return generate(CoreParams(chosen))


def measure(jobs: list[Job], folder: Path, *, seeds: Sequence[int]) -> None:
    """Measure all cores, two at a time, the slow ones first."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        ThreadPoolExecutor(2) as workers,
    ):
        whole = progress.add_task("cores measured", total=len(jobs))
        designs = {}
        for job in jobs:
            progress.update(whole, description=f"generates {job.name}")
            designs[job.name] = verilog(job)
        progress.update(whole, description="cores measured")

        def work(job: Job) -> None:
            task = progress.add_task(job.name, total=None)
            job.measure(
                folder,
                designs[job.name],
                lambda stage: progress.update(task, description=f"{job.name} {stage}"),
                seeds,
            )
            job.save(RESULTS)
            progress.remove_task(task)
            progress.advance(whole)

        for _ in workers.map(work, sorted(jobs, key=lambda job: (not job.tokens, job.lanes))):
            pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the page; return the exit code."""
    jobs = cores()
    parser = argparse.ArgumentParser(prog="python -m tools.area", description=__doc__)
    names = [job.name for job in jobs]
    parser.add_argument("--only", choices=names, help="measure this core alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the placements")
    parser.add_argument("--page", action="store_true", help="only write the page, of what is kept")
    options = parser.parse_args(arguments)
    chosen = [job for job in jobs if options.only in (None, job.name)]
    try:
        if not options.page:
            for module in tools.PACKAGES:
                tools.version(module)
            measure(chosen, FOLDER, seeds=options.seeds)
    except tools.ToolError as error:
        print(error, file=sys.stderr)
        return 2
    text = page([job for job in cores() if job.load(RESULTS)], frequency=FREQUENCY)
    write_whole(PAGE, text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
