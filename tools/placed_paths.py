"""Slow paths of a placed core, by the delays of nextpnr: `python -m tools.placed_paths FOLDER`.

FOLDER has the `harness.json` of a core, e.g. `build/area/mac16-token-placed`; it is placed (five
minutes), with `--route` routed too (a quarter of an hour: guesses of the delays before are often
too long), and nextpnr's file of delays, `placed.sdf`, is read: every path above a limit is listed
by its two ends, where nextpnr itself names the slowest one. With `--keep` the file that is there is
read.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from hw.synth import ecp5, harness, tools
from tools.area_job import FREQUENCY
from tools.paths import SlowPath, name_of

Pin = tuple[str, str]

SDF = "placed.sdf"

_CELL = re.compile(r"\(INSTANCE (\S*)\)")
_WIRE = re.compile(r"\(INTERCONNECT (\S+)/(\S+) (\S+)/(\S+) \(\d+:\d+:(\d+)\)")
_PATH = re.compile(r"\(IOPATH (\S+) (\S+) \(\d+:\d+:(\d+)\)")
_SETUP = re.compile(r"\(SETUPHOLD \(posedge (\S+)\) \(posedge \S+\) \(-?\d+:-?\d+:(-?\d+)\)")

_CLOCKS = re.compile(r"CLK.*|WCK")


class Delays:
    """Arrival times, from the slowest delays in a file.

    Parameters
    ----------
    lines : iterable of str
        SDF as nextpnr writes it: a wire, a path through a cell or a check on each line, in ps.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._after: dict[Pin, list[tuple[Pin, int]]] = defaultdict(list)
        self._setup: dict[Pin, int] = {}
        self._begin: dict[Pin, Pin] = {}
        self.arrival: dict[Pin, int] = {}
        cell = ""
        for line in lines:
            if found := _WIRE.search(line):
                source, out, target, pin, delay = found.groups()
                self._after[source, out].append(((target, pin), int(delay)))
            elif found := _PATH.search(line):
                pin, out, delay = found.groups()
                if _CLOCKS.fullmatch(pin):
                    self.arrival[cell, out] = max(int(delay), self.arrival.get((cell, out), 0))
                    self._begin[cell, out] = cell, out
                else:
                    self._after[cell, pin].append(((cell, out), int(delay)))
            elif found := _SETUP.search(line):
                self._setup[cell, found[1]] = int(found[2])
            elif found := _CELL.search(line):
                cell = found[1]
        self._propagate()

    def _propagate(self) -> None:
        waits = Counter(target for targets in self._after.values() for target, _ in targets)
        ready = [pin for pin in {*self._after, *self.arrival} if not waits[pin]]
        while ready:
            pin = ready.pop()
            for target, delay in self._after.get(pin, ()):
                reached = self.arrival.get(pin)
                if reached is not None and reached + delay > self.arrival.get(target, -1):
                    self.arrival[target] = reached + delay
                    self._begin[target] = self._begin[pin]
                waits[target] -= 1
                if not waits[target]:
                    ready.append(target)

    def slow(self, limit: float) -> list[SlowPath]:
        """Return the paths above a limit in ns, the slowest first, those between equals as one."""
        found: dict[tuple[str, str], tuple[float, int]] = {}
        for (cell, pin), setup in self._setup.items():
            if (cell, pin) not in self.arrival:
                continue
            delay = (self.arrival[cell, pin] + setup) / 1000
            if delay > limit:
                role = f":{pin}" if pin in ("CE", "LSR") else ""
                ends = _name(self._begin[cell, pin][0]), _name(cell) + role
                most, count = found.get(ends, (0.0, 0))
                found[ends] = max(most, delay), count + 1
        return sorted((SlowPath(d, *ends, n) for ends, (d, n) in found.items()), reverse=True)


def _name(cell: str) -> str:
    return name_of(cell.replace("\\", ""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Place, and print slow paths; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.placed_paths", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=float, default=10, help="in ns")
    parser.add_argument("--seed", type=int, default=1, help="of the placer")
    parser.add_argument("--route", action="store_true", help="route it, too")
    parser.add_argument("--keep", action="store_true", help="read the delays that are there")
    options = parser.parse_args(arguments)
    netlist, delays = options.folder / f"{harness.TOP}.json", options.folder / SDF
    needed = delays if options.keep else netlist
    if not needed.exists():
        print(f"{needed} is missing; python -m tools.area --only NAME makes it", file=sys.stderr)
        return 2
    try:
        if not options.keep:
            ecp5.place(
                netlist,
                delays=SDF,
                frequency=FREQUENCY,
                seed=options.seed,
                route=options.route,
            )
        with delays.open(encoding="utf-8") as lines:
            paths = Delays(lines).slow(options.limit)
    except tools.ToolError as error:
        print(error, file=sys.stderr)
        return 2
    for path in paths:
        print(f"{path.delay:6.1f} ns  {path.count:5}  {path.begin} to {path.end}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
