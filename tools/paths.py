"""Slow paths of a synthesized core, estimated before it is placed: `python -m tools.paths NETLIST`.

NETLIST is the JSON that Yosys writes, e.g. `build/area/mac16-token-placed/harness.json`. Cells have
the delays of an ECP5 of speed grade 6, rounded; a wire's delay grows with its number of ends. So
paths within a part of the core come out about right, and those across it too short: place and route
has the last word, but it takes half an hour, and names one path.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hw.synth import harness
from tools.area_job import plain, signal

#: ns from the clock to an output.
CLOCKED = {"TRELLIS_FF": 0.5, "DP16KD": 5.7, "TRELLIS_DPR16X4": 0.8}

#: ns from the clock to the outputs of a block with a register there, and through a multiplier.
REGISTERED, MULTIPLIED = 1.0, 3.9

#: ns of a wire with one end, and for each doubling of its ends.
WIRE, DOUBLING = 0.75, 0.3

#: Inputs that are joined to their driver without a wire.
_DIRECT = {"PFUMX": ("ALUT", "BLUT"), "L6MUX21": ("D0", "D1"), "CCU2C": ("CIN",)}

_CLOCKS = ("CLK", "CLK0", "CLKA", "CLKB", "WCK", "RAD")


class SlowPath(NamedTuple):
    """A slow path: ns, the signals at which it begins and ends, and how many there are."""

    delay: float
    begin: str
    end: str
    count: int


def _registered(cell: dict, stage: str) -> bool:
    return cell.get("parameters", {}).get(f"REG_{stage}_CLK", "NONE") != "NONE"


def clocked(cell: dict, pin: str) -> float | None:
    """Return ns from the clock to an output, or from an input to it; None if no register is there.

    A multiplier may have registers at its factors, its product, both or neither.
    """
    kind, drives = cell["type"], cell["port_directions"][pin] == "output"
    if kind == "MULT18X18D":
        factors, product = _registered(cell, "INPUTA"), _registered(cell, "OUTPUT")
        if not (product if drives else factors):
            return MULTIPLIED if factors or product else None
        return REGISTERED if drives else 0
    if kind == "DP16KD" and drives and cell["parameters"][f"REGMODE_{pin[2]}"] == "OUTREG":
        return REGISTERED
    return CLOCKED.get(kind) if drives or kind not in CLOCKED else 0


def arcs(cell: dict) -> Iterator[tuple[str, str, float]]:
    """Yield inputs and outputs of a cell that have no register between them, with ns."""
    kind, connections = cell["type"], cell["connections"]
    match kind:
        case "LUT4":
            yield from ((pin, "Z", 0.24) for pin in "ABCD")
        case "PFUMX" | "L6MUX21":
            yield from ((pin, "Z", 0.24) for pin in connections if pin != "Z")
        case "CCU2C":
            for half in "01":
                for pin in (f"{letter}{half}" for letter in "ABCD"):
                    yield from ((pin, out, 0.45) for out in ("COUT", "S1", f"S{half}"))
            yield from (("CIN", out, 0.44) for out in ("S0", "S1"))
            yield "CIN", "COUT", 0.07
        case "TRELLIS_DPR16X4":
            yield "RAD", "DO", 0.24
        case "MULT18X18D":
            factors = [pin for pin in connections if re.fullmatch(r"[AB]\d+", pin)]
            products = [pin for pin in connections if re.fullmatch(r"P\d+", pin)]
            if not _registered(cell, "INPUTA") and not _registered(cell, "OUTPUT"):
                yield from ((a, p, MULTIPLIED) for a in factors for p in products)


class Timing:
    """Arrival times in a netlist.

    Parameters
    ----------
    cells : dict
        Cells as in the JSON of Yosys.
    """

    def __init__(self, cells: dict[str, dict]) -> None:
        self._cells = {n: c for n, c in cells.items() if c["type"] != "$scopeinfo"}
        self._driver: dict[int, str] = {}
        self._ends: dict[int, int] = defaultdict(int)
        for name, _, bit, drives in self._pins():
            if drives:
                self._driver[bit] = name
            else:
                self._ends[bit] += 1
        self.arrival: dict[int, float] = {}
        self._begin: dict[int, str] = {}
        self._propagate()

    def _pins(self) -> Iterator[tuple[str, str, int, bool]]:
        for name, cell in self._cells.items():
            for pin, bits in cell["connections"].items():
                drives = cell["port_directions"][pin] == "output"
                yield from ((name, pin, bit, drives) for bit in bits if isinstance(bit, int))

    def wire(self, bit: int, kind: str, pin: str) -> float:
        """Return ns from a bit's driver to one pin of a cell."""
        if pin in _DIRECT.get(kind, ()):
            return 0
        behind = kind == "TRELLIS_FF" and pin == "DI" and self._ends[bit] == 1
        if behind and self._cells[self._driver[bit]]["type"] in ("LUT4", "CCU2C", *_DIRECT):
            return 0
        return WIRE + DOUBLING * math.log2(self._ends[bit])

    def _propagate(self) -> None:
        waits: dict[int, int] = defaultdict(int)
        after: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for name, cell in self._cells.items():
            kind, connections = cell["type"], cell["connections"]
            for pin, out, delay in arcs(cell):
                for bit in connections.get(pin, ()):
                    if bit not in self._driver:
                        continue
                    reached = delay + self.wire(bit, kind, pin)
                    for target in connections.get(out, ()):
                        if isinstance(target, int):
                            after[bit].append((target, reached))
                            waits[target] += 1
            for pin, bits in connections.items():
                delay = clocked(cell, pin)
                if delay is not None and cell["port_directions"][pin] == "output":
                    for bit in bits:
                        self.arrival[bit], self._begin[bit] = delay, name
        ready = [bit for bit in self._driver if not waits[bit]]
        while ready:
            bit = ready.pop()
            for target, delay in after[bit]:
                if bit in self.arrival:
                    now = self.arrival[bit] + delay
                    if now > self.arrival.get(target, 0):
                        self.arrival[target], self._begin[target] = now, self._begin[bit]
                waits[target] -= 1
                if not waits[target]:
                    ready.append(target)

    def slow(self, limit: float) -> list[SlowPath]:
        """Return the paths above a limit in ns, the slowest first, those between equals as one."""
        found: dict[tuple[str, str], tuple[float, int]] = {}
        for name, pin, bit, drives in self._pins():
            cell = self._cells[name]
            setup = clocked(cell, pin)
            if drives or setup is None or pin in _CLOCKS or bit not in self.arrival:
                continue
            delay = self.arrival[bit] + self.wire(bit, cell["type"], pin) + setup
            if delay > limit:
                role = f":{pin}" if pin in ("CE", "LSR") else ""
                ends = _name(self._begin[bit]), _name(name) + role
                most, count = found.get(ends, (0.0, 0))
                found[ends] = max(most, delay), count + 1
        paths = [SlowPath(delay, *ends, count) for ends, (delay, count) in found.items()]
        return sorted(paths, reverse=True)


def _name(cell: str) -> str:
    """Name of what a cell drives, without numbers of bits and of equal parts."""
    name = signal(cell.removeprefix(f"{harness.INSTANCE}."))
    return re.sub(r"(_\d+|(\.\d+)+|_D[OI][AB]\d+)$", "", plain(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print slow paths; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.paths", description=__doc__)
    parser.add_argument("netlist", type=Path)
    parser.add_argument("--limit", type=float, default=10, help="in ns")
    options = parser.parse_args(arguments)
    try:
        modules = json.loads(options.netlist.read_text(encoding="utf-8"))["modules"]
        cells = modules[harness.TOP]["cells"]
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.netlist} is no netlist of {harness.TOP}: {error}", file=sys.stderr)
        return 2
    for path in Timing(cells).slow(options.limit):
        print(f"{path.delay:6.1f} ns  {path.count:5}  {path.begin} to {path.end}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
