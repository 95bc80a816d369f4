"""The page that `tools/peers.py` writes."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hw.synth.ecp5 import Step
from tools.area_job import FREQUENCY, Job
from tools.area_page import COLUMNS, equivalents
from tools.markdown import table

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "docs" / "peers"
OURS = ROOT / "docs" / "area"

TEXT = """\
# Beside other engines

Written by `python -m tools.peers FOLDER` (`tools/peers.py`) from what was measured and kept in
`docs/peers` and, of our engines, `docs/area`. FOLDER holds clones of the peers; nothing of them is
in this repository but these figures, so that whoever doubts one clones them and measures again.

{origin}
All by the same tools on the same device, an LFE5U-85F of speed grade 6, and by one method, unless
the table above says else: sources become plain Verilog (ours from Amaranth, the peers' by Yosys),
`synth_ecp5`, registers move into multipliers and block RAMs where they can
(`hw/synth/pack_registers.py`), then nextpnr with its static placer in the same shell of shift
registers (`hw/synth/harness.py`), aiming at {frequency} MHz, the best of the seeds; every clock
stands there. Cells are those of synthesis without the shell; registers inside multipliers and block
RAMs are not among the FF.

## What was measured

{cells}
LUT4eq = LUT4 + 2 · CCU2C, without RAM16 (16 × 4 bits in LUTs); BRAM have 18 Kbit.

What limits the clock, of the best seed: the slowest path from register to register, and the signals
at its ends. A register that moved has the name of its multiplier or block RAM. What reaches
{frequency} MHz might go further with a higher aim: nextpnr then does not look on.

{limits}
## Per unit of work

An operation is a product of a weight and an activation that is added up, or, in engines without
multipliers, the adds that stand for one. The rate is what the engine does in each cycle when it
never waits, times its best clock.

{rates}
*Lanes alone* are the adders and multipliers, with their registers, of ours; the rest reads memory,
codes inputs, and scales and keeps sums ([area.md](area.md) has each block). The systolic array
without `-axi` is nothing but lanes.

Zeros count as work for the systolic array and `dense32`, which have to read and multiply them;
`mac32`, `spike32` and ODIN do nothing for a value that makes no event.

## What each does, and what it does not

{facts}
## What this does not tell

- A matrix times a vector is what decoding a token needs. A 4 × 8 array, each of whose rows is
  another vector, then does 8 of its 32 products; batches of four fill it. 1 × 32 is the same
  source as an engine for vectors.
- The array's figures alone leave out what feeds it. {fed}
- The accuracy that a model keeps is not on this page: the array multiplies integers and knows no
  scales, which its host must apply; ours have one for each 32 weights and each 32 activations.
- Others of the field are not here, because Yosys cannot read them: FireFly v1 is built of
  multiplier cells of a vendor, llama-fpga is a project of a vendor's tool, llama2.clash needs its
  own compiler first, ternip is parameterized by SystemVerilog classes, and of Hummingbird and
  TeLLMe no sources were found.
"""


#: What is told of the array with its own access to memory, if it was measured, and if not.
FED = {
    True: "The row with `-axi` has its three readers and its\n  writer, which move whole matrices, "
    "between AXI4 buses of 128 bits, the width of ours.",
    False: "Its design with three readers and a\n  writer between AXI4 buses (`systolic-4x8-axi` "
    "in `tools/peers.py`) is not measured yet.",
}


@dataclasses.dataclass(frozen=True)
class Limit:
    """A path that limits the clock.

    Attributes
    ----------
    delay, wires : float
        Its time, and that of its wires, in ns.
    cells : int
        Cells of logic on it.
    ends : list of str
        Signals at which it begins and ends.
    """

    delay: float
    wires: float
    cells: int
    ends: list[str]

    @classmethod
    def of(cls, path: Sequence[Step], ends: Sequence[str]) -> Limit:
        """Sum up a path between two signals."""
        wires = sum(step.delay for step in path if step.kind == "routing")
        cells = sum(step.kind == "logic" for step in path)
        return cls(sum(step.delay for step in path), wires, cells, list(ends))


@dataclasses.dataclass
class Measured:
    """What is kept of a peer.

    Attributes
    ----------
    cells : dict of str to int
        Cells of synthesis by type.
    clocks : list of float
        MHz by seed.
    source : str
        Repository and commit.
    measured : str
        When, and with which tools.
    limit : Limit or None
        The slowest path of the best placement.
    lanes : dict of str to int
        Of the cells those of the lanes alone; empty where they are not told apart.
    """

    cells: dict[str, int]
    clocks: list[float]
    source: str
    measured: str
    limit: Limit | None = None
    lanes: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the page says of an engine beside its figures.

    Attributes
    ----------
    title : str
        What it is.
    operations : float
        In each cycle.
    precision : str
        Weights, activations, accumulators.
    does, lacks : str
        What is in the cells that are counted, and what is not.
    """

    title: str
    operations: float
    precision: str
    does: str
    lacks: str


_ENGINE = (
    "AXI4 reader, AXI4-Lite registers, coding of the input in blocks of 32, scales of groups, "
)

ENTRIES: dict[str, Entry] = {
    "spike32": Entry(
        "ours, 32 lanes of two adders",
        32,
        "4 or 8 bits × spikes of 16 steps or 9-bit integers; 45, exact",
        _ENGINE + "sorting of events in time, rows of silent inputs not read, outputs in memory",
        "norms, attention, activation functions (the token cores have them)",
    ),
    "mac32": Entry(
        "ours, 32 lanes with a multiplier for two",
        32,
        "4 or 8 × 9 bits; 45, exact",
        _ENGINE + "rows of silent inputs not read, outputs in memory",
        "norms, attention, activation functions (the token cores have them)",
    ),
    "dense32": Entry(
        "our plain engine, to compare with",
        32,
        "4 or 8 × 8 bits; 44, exact",
        _ENGINE + "outputs in memory",
        "code tables, events, skipping of rows",
    ),
    "systolic-4x8": Entry(
        "axis-systolic-array, 4 vectors by 8 outputs",
        32,
        "4 × 8 bits; 24, wraps",
        "the array: streams in, streams out",
        "memory access, scales, coding of inputs, skipping of zeros; a vector alone uses 8 of 32",
    ),
    "systolic-4x8-nodsp": Entry(
        "the same, its products made of LUTs",
        32,
        "4 × 8 bits; 24, wraps",
        "the array: streams in, streams out",
        "memory access, scales, coding of inputs, skipping of zeros; a vector alone uses 8 of 32",
    ),
    "systolic-1x32": Entry(
        "axis-systolic-array, 1 vector by 32 outputs",
        32,
        "4 × 8 bits; 24, wraps",
        "the array: streams in, streams out",
        "memory access, scales, coding of inputs, skipping of zeros",
    ),
    "systolic-4x8-axi": Entry(
        "axis-systolic-array, whole, 4 vectors by 8 outputs",
        32,
        "4 × 8 bits; 32, wraps",
        "the array, sums added to given ones, three AXI4 readers and a writer, registers",
        "scales, coding of inputs, skipping of zeros; a vector alone uses 8 of 32",
    ),
    "odin": Entry(
        "ODIN, 256 neurons, all connected",
        0.5,
        "3 bits and a sign by neuron × spikes; 8, saturates",
        "weights and neurons on chip, leak, thresholds, two kinds of neurons, learning, AER, SPI",
        "values other than spikes, exact sums, external memory; a synapse takes 2 cycles",
    ),
}


def load(name: str) -> Measured | None:
    """Take what is kept of an engine; None if it was not measured."""
    path = PEERS / f"{name}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        limit = Limit(**kept.pop("limit")) if kept.get("limit") else None
        return Measured(**kept | {"limit": limit})
    job = Job(name.rstrip("0123456789"), int(name[-2:])) if name[-2:].isdigit() else None
    if job is None or not job.load(OURS):
        return None
    limit = Limit.of(job.placement.path, job.ends) if job.placement else None
    return Measured(
        cells=dict(job.total),
        clocks=job.clocks,
        source="this repository",
        measured=job.measured,
        limit=limit,
        lanes=dict(job.cells.get("lanes", {})),
    )


def page() -> str:
    """Text of the page."""
    found = {name: kept for name in ENTRIES if (kept := load(name))}
    cells, rates, facts, limits = [], [], [], []
    for name, kept in found.items():
        entry, counted = ENTRIES[name], Counter(kept.cells)
        clock, equal = max(kept.clocks, default=None), equivalents(counted)
        seeds = ", ".join(f"{mhz:.1f}" for mhz in kept.clocks)
        reached = "not placed yet" if clock is None else f"{clock:.1f} MHz"
        kinds = [f"{counted[kind]:,}" for kind in COLUMNS.values()]
        cells.append([f"`{name}`", entry.title, *kinds, f"{equal:,}", reached, seeds])
        if limit := kept.limit:
            delays = [f"{limit.delay:.1f} ns", f"{limit.wires:.1f} ns"]
            ends = [f"`{end}`" for end in limit.ends]
            limits.append([f"`{name}`", *delays, limit.cells, *ends])
        rate = entry.operations * clock / 1000 if clock else None
        lanes = equivalents(Counter(kept.lanes)) / entry.operations
        rates.append(
            [
                f"`{name}`",
                f"{entry.operations:g}",
                f"{equal / entry.operations:,.0f}",
                f"{lanes:,.0f}" if lanes else "",
                f"{counted['TRELLIS_FF'] / entry.operations:,.0f}",
                f"{counted['MULT18X18D'] / entry.operations:.2f}",
                f"{rate:.2f}" if rate else "",
                f"{equal / rate:,.0f}" if rate else "",
            ]
        )
        facts.append([f"`{name}`", entry.precision, entry.does, entry.lacks])
    return TEXT.format(
        fed=FED["systolic-4x8-axi" in found],
        origin=table(
            ["engine", "source", "measured"],
            [[f"`{name}`", kept.source, kept.measured] for name, kept in found.items()],
        ),
        frequency=FREQUENCY,
        cells=table(["engine", "", *COLUMNS, "LUT4eq", "clock", "by seed"], cells),
        limits=table(["engine", "slowest path", "of it wires", "cells", "from", "to"], limits),
        rates=table(
            [
                *(
                    "engine",
                    "operations a cycle",
                    "LUT4eq each",
                    "lanes alone",
                    "FF each",
                    "DSP each",
                ),
                *("10⁹ operations a second", "LUT4eq for 10⁹ a second"),
            ],
            rates,
        ),
        facts=table(["engine", "weights × activations; sums", "has", "has not"], facts),
    )
