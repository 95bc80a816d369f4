"""What a build of a board achieved: for programs, and for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from hw.synth.ecp5 import Netlist, Placement

#: Cells by the names that people use.
CELLS = {
    "LUT4": "LUT4",
    "CCU2C": "CCU2C",
    "FF": "TRELLIS_FF",
    "DSP": "MULT18X18D",
    "BRAM": "DP16KD",
    "RAM16": "TRELLIS_DPR16X4",
}

#: Sites of the device by the names that people use.
SITES = {
    "LUT": "TRELLIS_COMB",
    "FF": "TRELLIS_FF",
    "DSP": "MULT18X18D",
    "BRAM": "DP16KD",
}

#: Instances whose parts are told one by one.
_WITH_PARTS = ("matrix", "token", "encoder", "synapse", "vector_unit")

_NUMBERED = re.compile(r"bank\d+_\d+|\$\d+")


def block(instance: str) -> str:
    """Block of the report to which an instance belongs."""
    parts = [part for part in _NUMBERED.sub("", instance).split(".") if part]
    if not parts:
        return "board"
    if parts[0] != "core":
        return parts[0]
    kept = parts[:2]
    for part in parts[2:]:
        if kept[-1] not in _WITH_PARTS and kept[-1] != "core":
            break
        kept.append(part)
    return ".".join(kept)


def blocks(netlist: Netlist) -> dict[str, Counter[str]]:
    """Cells of each block, in the order of their names."""
    found: dict[str, Counter[str]] = {}
    for instance, cells in netlist.count().items():
        found.setdefault(block(instance), Counter()).update(cells)
    return dict(sorted(found.items()))


def figures(cells: Mapping[str, int]) -> dict[str, int]:
    """Count cells by the names of :data:`CELLS`."""
    return {name: cells.get(kind, 0) for name, kind in CELLS.items()}


def report(
    netlist: Netlist, placement: Placement, *, target: float, facts: Mapping[str, object]
) -> dict:
    """Everything, ready for JSON.

    Parameters
    ----------
    netlist, placement
        What synthesis, and place and route made.
    target : float
        Wanted clock in MHz.
    facts : mapping
        What else is to stand at the beginning.
    """
    by_block = blocks(netlist)
    total = sum(by_block.values(), Counter())
    path = [
        {"block": block(netlist.instance(step.cell)), "step": step.kind, "ns": round(step.delay, 3)}
        for step in placement.path
    ]
    clock = min(placement.clocks.values())
    return {
        **facts,
        "clock_mhz": round(clock, 2),
        "target_mhz": target,
        "timing_met": clock >= target,
        "clocks": {name: round(found, 2) for name, found in placement.clocks.items()},
        "cells": figures(total),
        "sites": {
            name: {"used": placement.used.get(kind, 0), "available": placement.available[kind]}
            for name, kind in SITES.items()
        },
        "blocks": {name: figures(cells) for name, cells in by_block.items()},
        "critical_path": path,
        "critical_path_ns": round(sum(step.delay for step in placement.path), 3),
    }


def page(found: Mapping) -> str:
    """Tell the same as a page of Markdown."""
    met = "met" if found["timing_met"] else "MISSED"
    lines = [
        f"# {found['title']}",
        "",
        f"Configuration `{found['config']}` ({found['hash']}). Clock: {found['clock_mhz']} MHz, "
        f"{found['target_mhz']:g} MHz wanted: {met}.",
        "",
        *_use(found),
        *_table(
            ("sites", "used", "of", "share"),
            [
                (name, f"{s['used']:,}", f"{s['available']:,}", f"{s['used'] / s['available']:.0%}")
                for name, s in found["sites"].items()
            ],
        ),
        "",
        "## Cells by block",
        "",
        "A CCU2C is a carry cell on two LUT4; RAM16 are memories of 16 x 4 bits in LUTs; BRAM have "
        "18 Kbit. A cell counts where the named signal nearest to it is.",
        "",
        *_table(
            ("block", *CELLS),
            [
                *(
                    (f"`{name}`", *(f"{count:,}" for count in cells.values()))
                    for name, cells in found["blocks"].items()
                ),
                ("**all**", *(f"{count:,}" for count in found["cells"].values())),
            ],
        ),
        "",
        f"## Slowest path: {found['critical_path_ns']:g} ns",
        "",
        *_table(
            ("block", "step", "ns"),
            [(f"`{s['block']}`", s["step"], f"{s['ns']:g}") for s in found["critical_path"]],
        ),
        "",
        "## Time",
        "",
        *_table(("step", "seconds"), [(n, f"{s:g}") for n, s in found["seconds"].items()]),
        "",
        "Tools: " + ", ".join(found["tools"]) + ".",
    ]
    return "\n".join(lines) + "\n"


def _use(found: Mapping) -> list[str]:
    """Tell how to load the bitstream and talk to the board, where there is one."""
    if not found["timing_met"]:
        return []
    return [
        f"    {found['loader']} {found['board']}.bit",
        f"    firstspike generate --backend serial --port PORT --config {found['config']} "
        f"--baud {found['baud']}",
        "",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
