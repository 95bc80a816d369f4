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
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from hw.synth import ecp5, harness, tools
from tools.area_job import FREQUENCY
from tools.arrivals import Arrival, Arrivals, End, SlowPath

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
        begins: dict[Pin, Arrival] = {}
        after: dict[Pin, list[tuple[Pin, float]]] = defaultdict(list)
        ends: dict[Pin, End[Pin]] = {}
        cell = ""
        for line in lines:
            line = line.replace("\\", "")
            if found := _WIRE.search(line):
                source, out, target, pin, delay = found.groups()
                after[source, out].append(((target, pin), int(delay)))
            elif found := _PATH.search(line):
                pin, out, delay = found.groups()
                if not _CLOCKS.fullmatch(pin):
                    after[cell, pin].append(((cell, out), int(delay)))
                else:
                    arrival = Arrival(int(delay), cell)
                    begins[cell, out] = max(arrival, begins.get((cell, out), arrival))
            elif found := _SETUP.search(line):
                pin = found[1]
                ends[cell, pin] = End((cell, pin), int(found[2]), cell, pin)
            elif found := _CELL.search(line):
                cell = found[1]
        self._arrivals, self._ends = Arrivals(begins, after), ends.values()

    def slow(self, limit: float) -> list[SlowPath]:
        """Return the paths above a limit in ns, the slowest first, those between equals as one."""
        paths = self._arrivals.slow(self._ends, 1000 * limit)
        return [path._replace(delay=path.delay / 1000) for path in paths]


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
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
