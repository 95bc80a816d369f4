"""Moves registers into the block RAMs and multipliers of an ECP5, in a synthesized netlist.

Yosys maps both without the registers that they have inside. Such a block may lie far from what it
works with, and then the way to it and the block together take longer than a clock cycle; between
the registers inside, there is the block alone. Cycles and values stay the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hw.synth.flat_netlist import Cell, FlatNetlist, pins_of

#: What a register inside a multiplier is controlled by: always enabled, never reset.
_MULTIPLIER_CONTROL = {"CLK": "CLK0", "CE": "CE0", "RST": "RST0"}

#: Tables one behind another before a factor, up to which its register moves if the product's has:
#: with more, the way to the multiplier is better spent behind the register.
_MOST_LEVELS = 2

#: Bits of a block RAM's port with no more than this many are read through that port alone.
_PORT_BITS = 18


def pack(module: Cell) -> Counter[str]:
    """Move registers in a flat module, as Yosys writes it for an ECP5.

    Registers are moved if they have no enable and no reset, and if every bit of a block's factors,
    or of its outputs, has one. Before a multiplier they may have a reset, which becomes a gate, and
    stay where others use them too; they are not moved there if much logic stands before them, and
    the product has got its register.

    Parameters
    ----------
    module : dict
        The module; changed in place.

    Returns
    -------
    Counter
        How many multipliers got registers at ``inputs`` and ``outputs``, how many ports of block
        RAMs did (``reads``), and how many ``registers`` there are less.
    """
    netlist, moved = FlatNetlist(module), Counter(inputs=0, outputs=0, reads=0)
    before = _registers(module)
    kinds: dict[str, list[tuple[str, Cell]]] = {"DP16KD": [], "MULT18X18D": []}
    for name, cell in netlist.cells.items():
        if cell["type"] in kinds:
            kinds[cell["type"]].append((name, cell))
    for name, cell in kinds["DP16KD"]:
        moved["reads"] += sum(_pack_read(netlist, name, cell, port) for port in "AB")
    for name, cell in kinds["MULT18X18D"]:
        packed = _pack_product(netlist, name, cell)
        moved["outputs"] += packed
        moved["inputs"] += _pack_factors(netlist, name, cell, most=_MOST_LEVELS if packed else None)
    netlist.remove_unused()
    moved["registers"] = before - _registers(module)
    return moved


def pack_file(path: Path, top: str) -> Counter[str]:
    """Do :func:`pack` in a JSON netlist, in place."""
    design = json.loads(path.read_text(encoding="utf-8"))
    moved = pack(design["modules"][top])
    path.write_text(json.dumps(design), encoding="utf-8")
    return moved


def _registers(module: Cell) -> int:
    return sum(cell["type"] == "TRELLIS_FF" for cell in module["cells"].values())


def _pack_factors(netlist: FlatNetlist, name: str, cell: Cell, *, most: int | None) -> bool:
    pins = pins_of(cell, "[AB]")
    bits = [cell["connections"][pin][0] for pin in pins]
    try:
        clocks = netlist.before(bits)
    except LookupError:
        return False
    registers = {netlist.driver[bit] for bit in bits if isinstance(bit, int)}
    if len(clocks) != 1 or (most is not None and max(map(netlist.levels, registers)) > most):
        return False
    netlist.take_inputs(name, pins)
    _clock_multiplier(netlist, name, clocks.pop(), ("INPUTA", "INPUTB"))
    return True


def _pack_product(netlist: FlatNetlist, name: str, cell: Cell) -> bool:
    pins = pins_of(cell, "P")
    try:
        clocks, registers = netlist.behind(cell["connections"][pin][0] for pin in pins)
    except LookupError:
        return False
    clocked = set(cell["connections"].get("CLK0", clocks))
    if len(clocks) != 1 or clocks != clocked:
        return False
    netlist.take_outputs(name, pins, registers)
    _clock_multiplier(netlist, name, clocks.pop(), ("OUTPUT",))
    return True


def _clock_multiplier(netlist: FlatNetlist, name: str, clock: int, stages: Iterable[str]) -> None:
    cell = netlist.cells[name]
    cell["parameters"]["GSR"] = "DISABLED"
    for stage in stages:
        for control, source in _MULTIPLIER_CONTROL.items():
            cell["parameters"][f"REG_{stage}_{control}"] = source
    if "CLK0" not in cell["connections"]:
        netlist.users[clock].append((name, "CLK0"))
    for pin, bit in (("CLK0", clock), ("CE0", "1"), ("RST0", "0")):
        cell["connections"][pin] = [bit]
        cell["port_directions"][pin] = "input"


def _pack_read(netlist: FlatNetlist, name: str, cell: Cell, port: str) -> bool:
    parameters, connections = cell["parameters"], cell["connections"]
    width = max(int(str(parameters[f"DATA_WIDTH_{side}"]), 2) for side in "AB")
    always = (connections.get(f"CE{port}"), connections.get(f"RST{port}")) == (["1"], ["0"])
    if width > _PORT_BITS or not always or parameters.get(f"CLK{port}MUX") != f"CLK{port}":
        return False
    pins = pins_of(cell, f"DO{port}")
    try:
        clocks, registers = netlist.behind(connections[pin][0] for pin in pins)
    except LookupError:
        return False
    if clocks != set(connections[f"CLK{port}"]):
        return False
    netlist.take_outputs(name, pins, registers)
    parameters[f"REGMODE_{port}"] = "OUTREG"
    connections[f"OCE{port}"] = ["1"]
    return True
