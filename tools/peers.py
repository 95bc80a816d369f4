"""Measure other engines as `tools/area.py` measures ours: writes `docs/peers.md` anew.

FOLDER holds the repositories of the peers, each in a folder of its name: clone those named in
PEERS there first. Nothing of them is kept but figures, in `docs/peers`, with their commit. With
`--only` one is measured; the page has all that are kept, and our engines from `docs/area`.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hw.synth import ecp5, harness, tools
from sw.convert.container import write_whole
from tools.area_job import FREQUENCY, SEEDS, ends
from tools.peers_page import Limit, Measured, page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "peers.md"
RESULTS = ROOT / "docs" / "peers"
FOLDER = ROOT / "build" / "peers"

#: Name of the module that gives a peer the clock and the reset that the shell expects.
ADAPTER = "peer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """An engine of others, and how its sources are read.

    Attributes
    ----------
    repository : str
        OWNER/NAME on GitHub.
    sources : tuple of str
        Patterns of files in it.
    top : str
        Its top module.
    clock, reset : str
        Ports of it; a reset whose name ends with ``n`` is active low.
    parameters, defines : mapping
        Values of the top module's parameters, and macros that the sources want.
    empty : tuple of str
        Files that the sources include and that the macros replace.
    multipliers : bool
        Whether synthesis may use the device's.
    """

    repository: str
    sources: tuple[str, ...]
    top: str
    clock: str
    reset: str
    parameters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    defines: Mapping[str, str] = dataclasses.field(default_factory=dict)
    empty: tuple[str, ...] = ()
    multipliers: bool = True

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.repository.rpartition("/")[2]


_ARRAY = "abarajithan11/axis-systolic-array"

#: 4-bit weights, 8-bit activations, accumulators of 24 bits.
_WIDTHS = {"WX": 8, "WK": 4, "WY": 24}

_SYSTOLIC = Peer(
    repository=_ARRAY,
    sources=("rtl/sa/*.sv",),
    top="axis_sa",
    clock="clk",
    reset="rstn",
    parameters={"R": 4, "C": 8, **_WIDTHS},
)

PEERS: dict[str, Peer] = {
    "systolic-4x8": _SYSTOLIC,
    "systolic-4x8-nodsp": dataclasses.replace(_SYSTOLIC, multipliers=False),
    "systolic-1x32": dataclasses.replace(_SYSTOLIC, parameters={"R": 1, "C": 32, **_WIDTHS}),
    "systolic-4x8-axi": Peer(
        repository=_ARRAY,
        sources=(
            *("rtl/sa/*.sv", "rtl/sys/top_axi.v", "rtl/sys/dma_controller.sv"),
            *("rtl/ext/alex*.sv", "rtl/ext/axi_axil*.sv"),
        ),
        top="top",
        clock="clk",
        reset="rstn",
        defines={
            **{"R": "4", "C": "8", "WX": "8", "WK": "4", "WY": "32"},
            **{"AXI_WIDTH": "128", "AXIL_WIDTH": "32", "ADDR_WIDTH": "32"},
            "AXIL_BASE_ADDR": "32'hB0000000",
        },
        empty=("config.svh",),
    ),
    "odin": Peer(
        repository="ChFrenkel/ODIN",
        sources=("src/*.v", "src/*/*.v"),
        top="ODIN",
        clock="CLK",
        reset="RST",
    ),
}


def commands(peer: Peer, clone: Path, folder: Path) -> list[str]:
    """Commands of Yosys that read a peer and write it as one plain Verilog file, and its ports."""
    files = [str(path) for pattern in peer.sources for path in sorted(clone.glob(pattern))]
    defines = [f"-D{name}={value}" for name, value in peer.defines.items()]
    values = [part for pair in peer.parameters.items() for part in ("-chparam", *map(str, pair))]
    sv = ["-sv"] if any(file.endswith(".sv") for file in files) else []
    return [
        " ".join(["read_verilog", *sv, f"-I{folder}", *defines, *files]),
        " ".join(["hierarchy", "-top", peer.top, *values]),
        "proc",
        "opt_clean",
        f"rename -top {peer.top}_",
        "write_verilog -noattr plain.v",
        "write_json plain.json",
    ]


def adapter(peer: Peer, ports: Sequence[dict]) -> str:
    """Verilog of module :data:`ADAPTER`: a peer with ports ``clk`` and ``rst``."""
    others = [p for p in ports if p["name"] not in (peer.clock, peer.reset)]
    heads = [f"{p['direction']} [{p['width'] - 1}:0] {p['name']}" for p in others]
    inverted = "!" if peer.reset.endswith("n") else ""
    joined = [f".{peer.clock}(clk)", f".{peer.reset}({inverted}rst)"]
    joined += [f".{p['name']}({p['name']})" for p in others]
    return (
        f"module {ADAPTER}({', '.join(['input clk', 'input rst', *heads])});\n"
        f"  {peer.top}_ inner({', '.join(joined)});\nendmodule\n"
    )


def read(peer: Peer, clone: Path, folder: Path) -> tuple[str, list[dict]]:
    """Plain Verilog of a peer with its adapter, and the adapter's ports but for clock and reset."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in peer.empty:
        (folder / name).write_text("", encoding="utf-8")
    tools.run("pyosys", ecp5.YOSYS, commands(peer, clone, folder), folder=folder, log="read.log")
    modules = json.loads((folder / "plain.json").read_text("utf-8"))["modules"]
    ports = [
        {"name": name, "direction": port["direction"], "width": len(port["bits"])}
        for name, port in modules[f"{peer.top}_"]["ports"].items()
    ]
    text = (folder / "plain.v").read_text("utf-8") + adapter(peer, ports)
    return text, [p for p in ports if p["name"] not in (peer.clock, peer.reset)]


def measure(
    name: str, clone: Path, folder: Path, say: Callable[[str], None], seeds: Sequence[int]
) -> Iterator[Measured]:
    """Synthesize a peer, alone and in the shell; place and route it there.

    What is known is given after synthesis, and again after each of the seeds.
    """
    peer = PEERS[name]
    say("reads")
    text, ports = read(peer, clone, folder)
    say("synthesizes")
    synthesize = functools.partial(ecp5.synthesize, ports={}, multipliers=peer.multipliers)
    alone = synthesize(text, ADAPTER, folder / "alone")
    wrapped = harness.wrap(text, ADAPTER, ports)
    shell = synthesize(wrapped, harness.TOP, folder / "shell", glue=[ADAPTER])
    versions = ", ".join(map(tools.version, tools.PACKAGES))
    found = Measured(
        cells=dict(sorted(Counter(alone.cells.values()).items())),
        clocks=[],
        source=f"{peer.repository} @ {commit(clone)}",
        measured=f"{datetime.date.today()}, {versions}",
    )
    yield found
    for seed in seeds:
        say(f"places from seed {seed}")
        placed = ecp5.place_and_route(shell.path, frequency=FREQUENCY, seed=seed)
        found.clocks.append(main_clock(placed.clocks))
        if found.clocks[-1] == max(found.clocks):
            names = [end.removeprefix("inner.") for end in ends(placed.path)]
            found.limit = Limit.of(placed.path, names)
        yield found


def main_clock(clocks: Mapping[str, float]) -> float:
    """MHz of the clock that comes from outside; a peer may derive others."""
    return min(mhz for name, mhz in clocks.items() if "clk" in name.split("$"))


def commit(clone: Path) -> str:
    """Commit of a clone."""
    command = ["git", "-C", str(clone), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.peers", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the peers are cloned")
    parser.add_argument("--only", choices=PEERS, help="measure this one alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the placements")
    options = parser.parse_args(arguments)
    RESULTS.mkdir(parents=True, exist_ok=True)
    names = [name for name in PEERS if options.only in (None, name)] if options.folder else []
    for name in names:
        clone = options.folder.resolve() / PEERS[name].folder
        if not clone.is_dir():
            url = f"https://github.com/{PEERS[name].repository}"
            print(f"{clone} is missing; make it with: git clone {url} {clone}", file=sys.stderr)
            return 2
        say = functools.partial(print, name, file=sys.stderr, flush=True)
        try:
            for found in measure(name, clone, FOLDER / name, say, options.seeds):
                content = json.dumps(dataclasses.asdict(found), indent=1) + "\n"
                write_whole(RESULTS / f"{name}.json", content.encode())
        except tools.ToolError as error:
            print(error, file=sys.stderr)
            return 2
    text = page()
    write_whole(PAGE, text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
