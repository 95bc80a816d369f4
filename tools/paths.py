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

from hw.synth import harness
from tools.arrivals import Arrival, Arrivals, End, SlowPath

#: ns from the clock to an output.
CLOCKED = {"TRELLIS_FF": 0.5, "DP16KD": 5.7, "TRELLIS_DPR16X4": 0.8}

#: ns from the clock to the outputs of a block with a register there, and through a multiplier.
REGISTERED, MULTIPLIED = 1.0, 3.9

#: ns of a wire with one end, and for each doubling of its ends.
WIRE, DOUBLING = 0.75, 0.3

#: Inputs that are joined to their driver without a wire.
_DIRECT = {"PFUMX": ("ALUT", "BLUT"), "L6MUX21": ("D0", "D1"), "CCU2C": ("CIN",)}

_CLOCKS = ("CLK", "CLK0", "CLKA", "CLKB", "WCK", "RAD")


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
        self._fanout: dict[int, int] = defaultdict(int)
        for name, _, bit, drives in self._pins():
            if drives:
                self._driver[bit] = name
            else:
                self._fanout[bit] += 1
        self._arrivals = Arrivals(self._begins(), self._arcs())

    def _pins(self) -> Iterator[tuple[str, str, int, bool]]:
        for name, cell in self._cells.items():
            for pin, bits in cell["connections"].items():
                drives = cell["port_directions"][pin] == "output"
                yield from ((name, pin, bit, drives) for bit in bits if isinstance(bit, int))

    def wire(self, bit: int, kind: str, pin: str) -> float:
        """Return ns from a bit's driver to one pin of a cell."""
        if pin in _DIRECT.get(kind, ()):
            return 0
        behind = kind == "TRELLIS_FF" and pin == "DI" and self._fanout[bit] == 1
        if behind and self._cells[self._driver[bit]]["type"] in ("LUT4", "CCU2C", *_DIRECT):
            return 0
        return WIRE + DOUBLING * math.log2(self._fanout[bit])

    def _begins(self) -> dict[int, Arrival]:
        begins = {}
        for name, pin, bit, drives in self._pins():
            delay = clocked(self._cells[name], pin)
            if drives and delay is not None:
                begins[bit] = Arrival(delay, name)
        return begins

    def _arcs(self) -> dict[int, list[tuple[int, float]]]:
        # Of all driven bits, in their order: it says which of equal arrivals comes first.
        after: dict[int, list[tuple[int, float]]] = {bit: [] for bit in self._driver}
        for cell in self._cells.values():
            kind, connections = cell["type"], cell["connections"]
            for pin, out, delay in arcs(cell):
                for bit in connections.get(pin, ()):
                    if bit in self._driver:
                        reached = delay + self.wire(bit, kind, pin)
                        targets = (t for t in connections.get(out, ()) if isinstance(t, int))
                        after[bit] += ((target, reached) for target in targets)
        return after

    def slow(self, limit: float) -> list[SlowPath]:
        """Return the paths above a limit in ns, the slowest first, those between equals as one."""
        return self._arrivals.slow(self._ends(), limit)

    def _ends(self) -> Iterator[End[int]]:
        for name, pin, bit, drives in self._pins():
            cell = self._cells[name]
            setup = clocked(cell, pin)
            if bit in self._driver and not drives and setup is not None and pin not in _CLOCKS:
                yield End(bit, self.wire(bit, cell["type"], pin) + setup, name, pin)


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
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
