"""A synthesized netlist whose registers move into the blocks beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Cell = dict[str, Any]

#: Truth table of a LUT4 that gives its input A where B is 0.
_WHERE_NOT = "0010001000100010"

#: Cells without a clock that lie between registers, and the pins that are reached by no further
#: table and hardly any wire.
_LOGIC: dict[str, tuple[str, ...]] = {
    "LUT4": (),
    "PFUMX": ("ALUT", "BLUT"),
    "L6MUX21": ("D0", "D1"),
    "CCU2C": ("CIN",),
}


def pins_of(cell: Cell, letters: str) -> list[str]:
    """Return the pins of a bus, e.g. ``[AB]`` for both factors of a multiplier."""
    return [pin for pin in cell["connections"] if re.fullmatch(rf"{letters}\d+", pin)]


class FlatNetlist:
    """Cells of a flat module, who drives a bit, and who uses it.

    Parameters
    ----------
    module : dict
        The module, as Yosys writes it; changed in place.
    """

    def __init__(self, module: Cell) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.driver: dict[int, str] = {}
        self.users: dict[int | str, list[tuple[str, str]]] = defaultdict(list)
        for name, cell in self.cells.items():
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][pin] == "output":
                        self.driver[bit] = name
                    else:
                        self.users[bit].append((name, pin))
        for port in module["ports"].values():
            for bit in port["bits"]:
                self.users[bit].append(("", ""))
        bits = (*self.driver, *self.users)
        self.last_bit = max((bit for bit in bits if isinstance(bit, int)), default=0)

    def clock(self, name: str, *, resets: bool = False) -> int | None:
        """Clock bit of a register without enable that begins with 0, and without reset.

        With ``resets`` it may have a synchronous one.
        """
        cell = self.cells.get(name)
        if cell is None or cell["type"] != "TRELLIS_FF":
            return None
        parameters, pins = cell["parameters"], cell["connections"]
        reset = pins.get("LSR", ["0"])
        plain = (
            parameters.get("CLKMUX", "CLK") == "CLK"
            and parameters.get("REGSET", "RESET") == "RESET"
            and (parameters.get("CEMUX") == "1" or pins.get("CE", ["1"]) == ["1"])
        )
        synchronous = parameters.get("SRMODE") == "LSR_OVER_CE" and parameters["LSRMUX"] == "LSR"
        if not plain or (reset != ["0"] and not (resets and synchronous)):
            return None
        return pins["CLK"][0]

    def before(self, bits: Iterable[int | str]) -> set[int]:
        """Return the clocks of the registers that drive bits.

        Raises
        ------
        LookupError
            If one of the bits is neither 0 nor from a register that can be moved.
        """
        clocks: set[int] = set()
        for bit in bits:
            if bit == "1":
                raise LookupError("a register holds 0 at first")
            if isinstance(bit, int):
                register = self.driver.get(bit, "")
                clock = self.clock(register, resets=True)
                if clock is None or self.is_late(register):
                    raise LookupError("not from a register that can be moved")
                clocks.add(clock)
        return clocks

    def is_late(self, register: str) -> bool:
        """Tell whether a register takes in what a block RAM without output registers reads."""
        waiting, seen = list(self.cells[register]["connections"]["DI"]), set[int]()
        while waiting:
            bit = waiting.pop()
            cell = self.cells.get(self.driver.get(bit, ""))
            if cell is None or bit in seen:
                continue
            seen.add(bit)
            if cell["type"] == "DP16KD":
                pins = cell["connections"]
                port = "A" if any([bit] == pins[pin] for pin in pins_of(cell, "DOA")) else "B"
                if cell["parameters"][f"REGMODE_{port}"] == "NOREG":
                    return True
            if cell["type"] in _LOGIC:
                for pin, bits in cell["connections"].items():
                    if cell["port_directions"][pin] == "input":
                        waiting += bits
        return False

    def levels(self, register: str) -> int:
        """Return the tables, one behind another, from registers to what a register takes in.

        A reset counts, which becomes a gate if the register moves.
        """
        known: dict[int | str, int] = {}

        def before(bit: int | str) -> int:
            if bit not in known:
                cell = self.cells.get(self.driver.get(bit, "")) if isinstance(bit, int) else None
                known[bit] = 0  # in case of a loop
                if cell is not None and cell["type"] in _LOGIC:
                    near = _LOGIC[cell["type"]]
                    known[bit] = max(
                        before(source) + (pin not in near)
                        for pin, bits in cell["connections"].items()
                        if cell["port_directions"][pin] == "input"
                        for source in bits
                    )
            return known[bit]

        pins = self.cells[register]["connections"]
        return before(pins["DI"][0]) + (pins.get("LSR", ["0"]) != ["0"])

    def behind(self, bits: Iterable[int | str]) -> tuple[set[int], dict[int, str]]:
        """Return clocks and names of the registers that take in bits, by bit.

        Raises
        ------
        LookupError
            If one of the bits is used, and not by one plain register alone.
        """
        clocks: set[int] = set()
        names: dict[int, str] = {}
        for bit in bits:
            users = self.users[bit]
            if isinstance(bit, str) or not users:
                continue
            name, pin = users[0]
            clock = self.clock(name) if pin == "DI" else None
            if len(users) > 1 or clock is None:
                raise LookupError("not into one plain register")
            clocks.add(clock)
            names[bit] = name
        return clocks, names

    def take_inputs(self, name: str, pins: Iterable[str]) -> None:
        """Connect pins to what the registers before them take in."""
        connections = self.cells[name]["connections"]
        for pin in pins:
            (bit,) = connections[pin]
            if isinstance(bit, int):
                taken = self._taken(self.driver[bit])
                connections[pin] = [taken]
                self.users[bit].remove((name, pin))
                self.users[taken].append((name, pin))

    def _taken(self, register: str) -> int | str:
        """Return the bit that a register takes in, 0 while it is reset."""
        pins = self.cells[register]["connections"]
        (bit,), (reset,) = pins["DI"], pins.get("LSR", ["0"])
        if reset == "0":
            return bit
        gate = f"{register}_DI_LUT4_Z_reset"
        if gate not in self.cells:
            self.last_bit += 1
            inputs = {"A": [bit], "B": [reset], "C": ["0"], "D": ["0"]}
            self.cells[gate] = {
                "hide_name": 0,
                "type": "LUT4",
                "parameters": {"INIT": _WHERE_NOT},
                "attributes": {},
                "port_directions": dict.fromkeys(inputs, "input") | {"Z": "output"},
                "connections": inputs | {"Z": [self.last_bit]},
            }
            self.driver[self.last_bit] = gate
            self.users[bit].append((gate, "A"))
            self.users[reset].append((gate, "B"))
        (taken,) = self.cells[gate]["connections"]["Z"]
        return taken

    def take_outputs(self, name: str, pins: Iterable[str], registers: dict[int, str]) -> None:
        """Let pins drive what the registers behind them drive, and remove these."""
        connections = self.cells[name]["connections"]
        for pin in pins:
            (bit,) = connections[pin]
            if bit in registers:
                register = self.cells.pop(registers[bit])
                (connections[pin],) = [register["connections"]["Q"]]
                self.driver[connections[pin][0]] = name

    def remove_unused(self) -> None:
        """Remove registers that nobody uses any more, and those before them."""
        waiting = [name for name in self.cells if self.clock(name, resets=True) is not None]
        while waiting:
            name = waiting.pop()
            cell = self.cells.get(name)
            if cell is None or any(self.users[bit] for bit in cell["connections"]["Q"]):
                continue
            del self.cells[name]
            for pin in ("DI", "CLK", "LSR"):
                (bit,) = cell["connections"][pin]
                if isinstance(bit, int):
                    self.users[bit].remove((name, pin))
            source = self.driver.get(cell["connections"]["DI"][0], "")
            if self.clock(source, resets=True) is not None:
                waiting.append(source)
