"""One core that `tools/area.py` measures: its cells, its clock and its slowest path."""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from hw.build import TOP
from hw.core import MEMORY_PREFIX, PREFIX
from hw.synth import ecp5, harness, tools
from sw.convert.container import write_whole

#: MHz that place and route aims at: what it reaches beyond it does not look for.
FREQUENCY = 120

#: Placements begin with these; the best is what a designer would take.
SEEDS = (1, 2, 3)

#: Speed grades above that of place and route, which is the slowest.
FASTER = (7, 8)

#: What is kept of a measurement, beside the placement.
KEPT = ("measured", "cells", "seeds", "clocks", "faster", "path")

#: Rows that several small instances share.
SHARED = {
    "bus": "bus, registers",
    "registers": "bus, registers",
    "inputs": "bus, registers",
    "check": "control",
    "controller": "control",
    "matrix": "control",
    "totals": "control",
}

#: Instances whose parts have rows of their own.
WITH_PARTS = ("encoder", "synapse", "token", "vectors")

#: Signs of what nextpnr is at, in what it prints.
STAGES = {
    "Packing": "packs",
    "Static placer": "places",
    "annealing": "refines",
    "Rout": "routes",
}

#: What synthesis appends to a signal's name for the cell that drives it.
_CELL = re.compile(r"_(TRELLIS_|LUT4|CCU2C|MULT18X18D|DP16KD|PFUMX|L6MUX21).*")


@dataclasses.dataclass
class Job:
    """One core; what is measured of it is filled in.

    Attributes
    ----------
    kind : str
        ``mac``, ``spike`` or ``dense``.
    lanes : int
        Its lanes.
    tokens : bool
        Whether it has a token unit.
    placed : bool
        Whether it is placed and routed too.
    cells : dict of str to Counter
        Cells by row of the page.
    seeds : list of int
        What its placements began with.
    clocks : list of float
        MHz of each.
    placement : Placement or None
        The best.
    faster : list of float
        Its MHz with the delays of each of :data:`FASTER`.
    path : list of str
        Instances that its slowest path visits.
    measured : str
        When, and with which tools; empty before.
    """

    kind: str
    lanes: int
    tokens: bool = False
    placed: bool = False
    cells: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    placement: ecp5.Placement | None = None
    path: list[str] = dataclasses.field(default_factory=list)
    seeds: list[int] = dataclasses.field(default_factory=list)
    clocks: list[float] = dataclasses.field(default_factory=list)
    faster: list[float] = dataclasses.field(default_factory=list)
    measured: str = ""

    @property
    def name(self) -> str:
        """Name on the page; that of a configuration where there is a token unit."""
        return f"{self.kind}{self.lanes}" + "-token" * self.tokens

    @property
    def total(self) -> Counter[str]:
        """Cells of the whole core."""
        return sum(self.cells.values(), Counter())

    @property
    def ends(self) -> list[str]:
        """Signals at which the slowest path begins and ends."""
        return ends(self.placement.path) if self.placement else []

    def measure(
        self,
        folder: Path,
        design: tuple[str, dict],
        say: Callable[[str], None],
        seeds: Sequence[int] = SEEDS,
    ) -> None:
        """Synthesize the core; place and route it too if it shall be, from each of the seeds."""
        text, manifest = design
        say("synthesizes")
        ports = self._ports()
        netlist = ecp5.synthesize(text, TOP, folder / self.name, ports=ports)
        self.cells = rows(netlist.count())
        if self.placed:
            self._place(folder / f"{self.name}-placed", text, manifest, say, seeds)
        versions = ", ".join(map(tools.version, tools.PACKAGES))
        self.measured = f"{datetime.date.today()}, {versions}, Python {platform.python_version()}"

    def save(self, folder: Path) -> None:
        """Keep what was measured, as NAME.json."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: getattr(self, name) for name in KEPT}
        if self.placement:
            kept["placement"] = dataclasses.asdict(self.placement)
        write_whole(folder / f"{self.name}.json", (json.dumps(kept, indent=1) + "\n").encode())

    def load(self, folder: Path) -> bool:
        """Take what was kept of this core; tell whether there was anything."""
        path = folder / f"{self.name}.json"
        if not path.exists():
            return False
        kept = json.loads(path.read_text(encoding="utf-8"))
        for name in KEPT:
            setattr(self, name, kept.get(name, []))  # of older ones one grade was timed
        self.seeds = self.seeds or list(range(1, len(self.clocks) + 1))
        self.cells = {name: Counter(cells) for name, cells in self.cells.items()}
        if placed := kept.get("placement"):
            steps = [ecp5.Step(**step) for step in placed.pop("path")]
            self.placement = ecp5.Placement(path=steps, **placed)
        return True

    def _ports(self) -> dict[str, str]:
        """Instances behind the core's ports."""
        return {PREFIX: "bus", MEMORY_PREFIX: "token.arbiter" if self.tokens else "matrix.synapse"}

    def _place(
        self,
        folder: Path,
        text: str,
        manifest: dict,
        say: Callable[[str], None],
        seeds: Sequence[int],
    ) -> None:
        inside = f"{harness.INSTANCE}."
        netlist = ecp5.synthesize(
            harness.wrap(text, TOP, manifest["ports"]),
            harness.TOP,
            folder,
            ports={inside + start: inside + behind for start, behind in self._ports().items()},
            glue=[TOP],
        )

        def follow(line: str) -> None:
            for sign, stage in STAGES.items():
                if sign in line:
                    say(stage)

        routed = "routed.json"
        for seed in seeds:
            placement = ecp5.place_and_route(
                netlist.path, frequency=FREQUENCY, seed=seed, routed=routed, progress=follow
            )
            self.seeds.append(seed)
            self.clocks.append(slowest(placement))
            if self.clocks[-1] == max(self.clocks):
                self.placement = placement
                self.faster = [
                    slowest(ecp5.retime(folder / routed, frequency=FREQUENCY, speed=speed))
                    for speed in FASTER
                ]
        assert self.placement
        visited = [netlist.instance(step.cell) for step in self.placement.path]
        self.path = list(dict.fromkeys(plain(i.removeprefix(inside)) for i in visited))


def slowest(placement: ecp5.Placement) -> float:
    """MHz of the slowest clock."""
    return min(placement.clocks.values())


def plain(instance: str) -> str:
    """Name of an instance below the matrix unit, without the numbers that tell equals apart."""
    return re.sub(r"\$\d+", "", instance).removeprefix("matrix.").removeprefix("token.")


def signal(cell: str) -> str:
    """Name of the signal that a cell drives."""
    return _CELL.sub("", plain(cell))


def ends(path: Sequence[ecp5.Step]) -> list[str]:
    """Signals at which a path in the shell begins and ends."""
    cells = [path[i].cell.removeprefix(f"{harness.INSTANCE}.") for i in (0, -1)] if path else []
    return [signal(cell) for cell in cells]


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
