"""Measure what the cores cost on an ECP5: `make bench-area` writes `docs/area.md` anew.

Synthesizes the cores of both integrators and a plain dense engine at several widths, and places and
routes the smallest of each. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hw.baseline.core import DenseCore, DenseParams
from hw.build import TOP, generate
from hw.core import MEMORY_PREFIX, PREFIX
from hw.spec.params import CoreConfig, CoreParams
from hw.synth import ecp5, harness, tools
from sw.convert.container import write_whole
from tools.area_page import page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "area.md"

#: Netlists, reports and logs.
FOLDER = ROOT / "build" / "area"

KINDS = {"spike": "spike", "mac": "mac", "dense": "mac"}
WIDTHS = (16, 32, 64)
#: MHz that place and route aims at: what it reaches beyond it does not look for.
FREQUENCY = 120

#: Placements begin with these; the best is what a designer would take.
SEEDS = (1, 2, 3)

#: Instances behind the core's ports.
PORTS = {PREFIX: "bus", MEMORY_PREFIX: "matrix.synapse"}

#: Rows that several small instances share.
SHARED = {
    "bus": "bus, registers",
    "registers": "bus, registers",
    "inputs": "bus, registers",
    "check": "control",
    "controller": "control",
    "matrix": "control",
}

#: Instances whose parts have rows of their own.
WITH_PARTS = ("encoder", "synapse")

#: Signs of what nextpnr is at, in what it prints.
STAGES = {
    "Packing": "packs",
    "analytical placer": "places",
    "annealing": "refines",
    "Rout": "routes",
}


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


def verilog(kind: str, lanes: int) -> tuple[str, dict]:
    """Verilog and manifest of a core, or of the plain engine."""
    chosen = config(KINDS[kind], lanes)
    if kind == "dense":
        return generate(DenseParams(chosen), DenseCore)
    return generate(CoreParams(chosen))


@dataclasses.dataclass
class Job:
    """One core; what is measured of it is filled in."""

    kind: str
    lanes: int
    cells: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    placement: ecp5.Placement | None = None
    path: list[str] = dataclasses.field(default_factory=list)
    clocks: list[float] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        """Name on the page."""
        return f"{self.kind}{self.lanes}"

    @property
    def total(self) -> Counter[str]:
        """Cells of the whole core."""
        return sum(self.cells.values(), Counter())

    def measure(self, folder: Path, design: tuple[str, dict], say: Callable[[str], None]) -> None:
        """Synthesize the core; place and route it too if it is the narrowest."""
        text, manifest = design
        say("synthesizes")
        netlist = ecp5.synthesize(text, TOP, folder / self.name, ports=PORTS)
        self.cells = rows(netlist.count())
        if self.lanes == min(WIDTHS):
            self._place(folder / f"{self.name}-placed", text, manifest, say)

    def _place(self, folder: Path, text: str, manifest: dict, say: Callable[[str], None]) -> None:
        inside = f"{harness.INSTANCE}."
        netlist = ecp5.synthesize(
            harness.wrap(text, TOP, manifest["ports"]),
            harness.TOP,
            folder,
            ports={inside + start: inside + behind for start, behind in PORTS.items()},
            glue=[TOP],
        )

        def follow(line: str) -> None:
            for sign, stage in STAGES.items():
                if sign in line:
                    say(stage)

        for seed in SEEDS:
            placement = ecp5.place_and_route(
                netlist.path, frequency=FREQUENCY, seed=seed, progress=follow
            )
            self.clocks.append(min(placement.clocks.values()))
            if self.clocks[-1] == max(self.clocks):
                self.placement = placement
        assert self.placement
        visited = [netlist.instance(step.cell) for step in self.placement.path]
        self.path = list(dict.fromkeys(plain(i.removeprefix(inside)) for i in visited))


def plain(instance: str) -> str:
    """Name of an instance below the matrix unit, without the numbers that tell equals apart."""
    return re.sub(r"\$\d+", "", instance).removeprefix("matrix.")


def row(instance: str) -> str:
    """Row of the page in which an instance is counted."""
    parts = plain(instance).split(".")
    if parts[0] in WITH_PARTS:
        return ".".join(parts[:2])
    return SHARED.get(parts[0], parts[0]) or "rest"


def rows(cells: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """Cells by row of the page, in the order of the page."""
    found: dict[str, Counter[str]] = {}
    for instance in sorted(cells):
        found.setdefault(row(instance), Counter()).update(cells[instance])
    return found


def measure(jobs: list[Job], folder: Path) -> None:
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
            designs[job.name] = verilog(job.kind, job.lanes)
        progress.update(whole, description="cores measured")

        def work(job: Job) -> None:
            task = progress.add_task(job.name, total=None)
            job.measure(
                folder,
                designs[job.name],
                lambda stage: progress.update(task, description=f"{job.name} {stage}"),
            )
            progress.remove_task(task)
            progress.advance(whole)

        for _ in workers.map(work, sorted(jobs, key=lambda job: job.lanes)):
            pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the page; return the exit code."""
    jobs = [Job(kind, lanes) for lanes in WIDTHS for kind in KINDS]
    parser = argparse.ArgumentParser(prog="python -m tools.area", description=__doc__)
    names = [job.name for job in jobs]
    parser.add_argument("--only", choices=names, help="measure one core and leave the page alone")
    only = parser.parse_args(arguments).only
    jobs = [job for job in jobs if only in (None, job.name)]
    try:
        for module in tools.PACKAGES:
            tools.version(module)
        measure(jobs, FOLDER)
        text = page(jobs, frequency=FREQUENCY)
    except tools.ToolError as error:
        print(error, file=sys.stderr)
        return 2
    if not only:
        write_whole(PAGE, text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
