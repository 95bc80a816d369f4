"""The page that `tools/area.py` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from hw.synth import ecp5
from tools.area_job import FASTER
from tools.markdown import table

#: Cells that the page counts, by column.
COLUMNS = {
    "LUT4": "LUT4",
    "CCU2C": "CCU2C",
    "FF": "TRELLIS_FF",
    "DSP": "MULT18X18D",
    "BRAM": "DP16KD",
    "RAM16": "TRELLIS_DPR16X4",
}

#: Sites of the device that the page counts, by column.
SITES = {
    "LUT sites": "TRELLIS_COMB",
    "FF": "TRELLIS_FF",
    "DSP": "MULT18X18D",
    "BRAM": "DP16KD",
}

TEXT = """\
# Area and clock

Written by `make bench-area` (`tools/area.py`) from what was measured and kept in `docs/area`; one
core is measured anew by `python -m tools.area --only NAME`.

{origin}
`spike16` is the core of that integrator with 16 lanes: external memory of 128 MiB, as wide as the
lanes (64 bits at 16), 1536 inputs and outputs, and else the defaults of `hw/spec/params.py`.
`dense16` is a plain engine for the same weights (`hw/baseline/core.py`): 8-bit codes with one scale
for a block's largest magnitude, every row read and multiplied. Bus, registers, tile engine, lanes,
scaler and output buffer are those of `mac`, a bit narrower where its codes need less; it has no
code tables, events, masks, row sums, test mode and event faults. It gives the dot product
(`tests/unit/hw/baseline/test_dense.py::test_is_the_dot_product`).

## Whole engines

Cells of `synth_ecp5`. A CCU2C is a carry cell on two LUT4 sites: LUT4eq = LUT4 + 2 · CCU2C. RAM16
are memories of 16 × 4 bits in LUTs, which LUT4eq leaves out; BRAM have 18 Kbit. The last columns
are the share of one lane: of the whole engine, and of the block `lanes` alone.

{totals}
## Cores that run tokens

`mac16-token` and the like are configurations of `hw/spec/configs.py`: the whole core, with vector
unit, sequencer, loader and storer, behind 4 bits of external memory for each lane, for models of
the size of SmolLM2-135M. Sites and registers are those that place and route used of an LFE5U-85F,
the shell below included; carry cells and memories in LUTs take LUT sites too.

{tokens}
## Clock

nextpnr on an LFE5U-85F, speed grade 6, CABGA381, aiming at {frequency} MHz: the best of
the seeds; the clock of each stands beside it. Grade 6 is the slowest that is sold; the columns of
the grades {faster} tell what the same placed and routed design reaches with their delays. The core
stands in a shell (`hw/synth/harness.py`): its inputs come from one shift register and its outputs
go into another, so that five pins are enough and every path begins and ends at a register. Nothing
else competes for the wires.

{clocks}
## By block

The design is synthesized as a whole, across the borders of its blocks, and a cell counts where the
named signal nearest to it is. Logic between two blocks may so stand in either; the sums are exact.
The row of a block with parts below it has what is in none of them.

{blocks}"""


class Measured(Protocol):
    """What the page must know of a core."""

    kind: str
    lanes: int
    name: str
    cells: dict[str, Counter[str]]
    total: Counter[str]
    tokens: bool
    placement: ecp5.Placement | None
    path: list[str]
    ends: list[str]
    seeds: list[int]
    clocks: list[float]
    faster: list[float]
    measured: str


def equivalents(cells: Counter[str]) -> int:
    """Count LUT4 and those of carry cells, two each."""
    return cells["LUT4"] + 2 * cells["CCU2C"]


def figures(cells: Counter[str]) -> list[str]:
    """Count what the page's columns hold."""
    return [f"{cells[kind]:,}" for kind in COLUMNS.values()]


def totals(cores: Sequence[Measured]) -> str:
    """Whole engines, and what a lane of them costs."""
    engines = [core for core in cores if not core.tokens]
    dense = {core.lanes: equivalents(core.total) for core in engines if core.kind == "dense"}
    body = []
    for core in engines:
        equal, lanes = equivalents(core.total), core.cells["lanes"]
        body.append(
            [
                f"`{core.name}`",
                *figures(core.total),
                f"{equal:,}",
                f"{equal / dense[core.lanes]:.2f}" if core.lanes in dense else "",
                f"{equal / core.lanes:.0f}",
                f"{equivalents(lanes) / core.lanes:.1f}",
                f"{lanes['TRELLIS_FF'] / core.lanes:.1f}",
                f"{lanes['MULT18X18D'] / core.lanes:.1f}",
            ]
        )
    return table(
        [
            "core",
            *COLUMNS,
            "LUT4eq",
            "of `dense`",
            "LUT4eq a lane, all",
            "lanes alone",
            "FF",
            "DSP",
        ],
        body,
    )


def tokens(cores: Sequence[Measured]) -> str:
    """Cores that run tokens, and their share of the device."""
    body = []
    for core in cores:
        if core.tokens and (placed := core.placement):
            shares = [
                f"{placed.used[site]:,} ({placed.used[site] / placed.available[site]:.0%})"
                for site in SITES.values()
            ]
            body.append([f"`{core.name}`", *shares])
    return table(["core", *SITES], body)


def blocks(core: Measured) -> str:
    """One engine, block by block."""
    body = [[f"`{name}`", *figures(cells)] for name, cells in core.cells.items()]
    everything = ["**all**", *figures(core.total)]
    return f"### `{core.name}`\n\n" + table(["block", *COLUMNS], [*body, everything])


def clocks(cores: Sequence[Measured]) -> str:
    """Frequencies and what limits them."""
    body = []
    for core in cores:
        if placed := core.placement:
            (clock,) = placed.clocks.values()
            delay = sum(step.delay for step in placed.path)
            routing = sum(step.delay for step in placed.path if step.kind == "routing")
            sites = f"{placed.used['TRELLIS_COMB']:,} of {placed.available['TRELLIS_COMB']:,}"
            cells = sum(step.kind == "logic" for step in placed.path) or ""
            through = " → ".join(f"`{part}`" for part in core.path)
            ends = " to ".join(f"`{end}`" for end in core.ends if end)
            path = [f"{delay:.1f} ns", f"{routing:.1f} ns", cells, through, ends]
            by_seed = zip(core.seeds, core.clocks, strict=True)
            seeds = ", ".join(f"{seed}: {clock:.1f}" for seed, clock in by_seed)
            faster = [f"{clock:.1f}" for clock in core.faster] or [""] * len(FASTER)
            body.append([f"`{core.name}`", f"{clock:.1f} MHz", seeds, *faster, *path, sites])
    head = [
        "core",
        "clock",
        "by seed",
        *(f"grade {speed}" for speed in FASTER),
        "slowest path",
        "of it wires",
        "cells",
        "in",
        "from, to",
        "LUT sites of the device",
    ]
    return table(head, body)


def page(cores: Sequence[Measured], *, frequency: float) -> str:
    """Text of the page; ``frequency`` in MHz is what place and route aimed at."""
    names: dict[str, list[str]] = {}
    for core in cores:
        names.setdefault(core.measured, []).append(f"`{core.name}`")
    return TEXT.format(
        origin=table(["cores", "measured"], [[", ".join(n), when] for when, n in names.items()]),
        totals=totals(cores),
        tokens=tokens(cores),
        clocks=clocks(cores),
        faster=" and ".join(map(str, FASTER)),
        blocks="\n".join(map(blocks, cores)),
        frequency=frequency,
    )
