"""Other engines beside ours: how they are read, and the page."""

import dataclasses
import json
from pathlib import Path

from hw.synth import tools
from hw.synth.ecp5 import Netlist, Placement, Step
from tools import peers, peers_page
from tools.area_job import Job
from tools.peers_page import Limit, Measured

PEER = peers.Peer(
    repository="some/engine",
    sources=("rtl/*.sv",),
    top="engine",
    clock="CK",
    reset="rstn",
    parameters={"R": 4},
    defines={"W": "8"},
    empty=("config.svh",),
)

PORTS = [
    {"name": "CK", "direction": "input", "width": 1},
    {"name": "rstn", "direction": "input", "width": 1},
    {"name": "x", "direction": "input", "width": 8},
    {"name": "y", "direction": "output", "width": 24},
]


def test_how_a_peer_is_read(tmp_path):
    (tmp_path / "rtl").mkdir()
    for name in ("b.sv", "a.sv", "c.v"):
        (tmp_path / "rtl" / name).write_text("")
    first, second, *_, last = peers.commands(PEER, tmp_path, Path("work"))
    assert first == f"read_verilog -sv -Iwork -DW=8 {tmp_path}/rtl/a.sv {tmp_path}/rtl/b.sv"
    assert second == "hierarchy -top engine -chparam R 4"
    assert last == "write_json plain.json"


def test_clock_and_reset_are_those_of_the_shell():
    text = peers.adapter(PEER, PORTS)
    assert text.startswith("module peer(input clk, input rst, input [7:0] x, output [23:0] y);\n")
    assert "engine_ inner(.CK(clk), .rstn(!rst), .x(x), .y(y));" in text


def test_the_clock_from_outside_counts():
    clocks = {"$glbnet$clk$TRELLIS_IO_IN": 19.5, "$glbnet$core.inner.SCK": 7.0}
    assert peers.main_clock(clocks) == 19.5


def test_the_limit_is_that_of_the_best_seed(tmp_path, monkeypatch):
    clocks = {1: 40.0, 2: 50.0, 3: 45.0}

    def place_and_route(netlist, *, frequency, seed):
        path = [Step("clk-to-q", 1000 / clocks[seed], f"core.inner.x{seed}_TRELLIS_FF_Q")]
        return Placement({"clk": clocks[seed]}, path, {}, {})

    monkeypatch.setattr(peers, "read", lambda *_: ("", []))
    monkeypatch.setattr(peers, "commit", lambda _: "1")
    monkeypatch.setattr(tools, "version", lambda module: module)
    netlist = Netlist(tmp_path, {"a": "LUT4"}, frozenset(), {})
    monkeypatch.setattr(peers.ecp5, "synthesize", lambda *_, **__: netlist)
    monkeypatch.setattr(peers.ecp5, "place_and_route", place_and_route)
    first, *_, found = peers.measure("odin", tmp_path, tmp_path, lambda _: None, [1, 2, 3])
    assert first.cells == {"LUT4": 1}
    assert found.clocks == [40.0, 50.0, 45.0]
    assert found.limit == Limit(20.0, 0, 0, ["x2", "x2"])


def test_the_page_has_engines_that_were_measured(tmp_path, monkeypatch):
    theirs, our = tmp_path / "peers", tmp_path / "area"
    theirs.mkdir()
    monkeypatch.setattr(peers_page, "PEERS", theirs)
    monkeypatch.setattr(peers_page, "OURS", our)
    kept = Measured(
        {"LUT4": 600, "CCU2C": 100, "TRELLIS_FF": 320, "MULT18X18D": 8},
        [99.0, 100.0],
        "some/engine @ 1",
        "now",
        Limit(10.0, 4.25, 2, ["a", "b.c"]),
    )
    (theirs / "odin.json").write_text(json.dumps(dataclasses.asdict(kept)))
    ours = Job("mac", 32, measured="then")
    ours.save(our)
    ours.cells = {"lanes": {"LUT4": 3200}, "scaler": {"LUT4": 800}}
    ours.save(our)
    text = peers_page.page()
    assert "| 4,000 | not placed yet |  |" in text
    assert "| `mac32` | 32 | 125 | 100 | 0 | 0.00 |  |  |" in text
    ours.clocks = [50.0]
    path = [Step("clk-to-q", 1.0, "core.d_LUT4_Z"), Step("routing", 19.0, "core.matrix.e")]
    ours.placement = Placement({"clk": 50.0}, path, {}, {})
    ours.save(our)
    text = peers_page.page()
    assert "| `odin` | some/engine @ 1 | now |" in text
    assert "| 600 | 100 | 320 | 8 | 0 | 0 | 800 | 100.0 MHz | 99.0, 100.0 |" in text
    assert "| `odin` | 10.0 ns | 4.2 ns | 2 | `a` | `b.c` |" in text
    assert "| `mac32` | 20.0 ns | 19.0 ns | 0 | `d` | `e` |" in text
    assert "| `odin` | 0.5 | 1,600 |  | 640 | 16.00 | 0.05 | 16,000 |" in text
    assert "| `mac32` | 32 | 125 | 100 | 0 | 0.00 | 1.60 | 2,500 |" in text


def test_every_peer_has_its_line():
    assert set(peers.PEERS) < set(peers_page.ENTRIES)


def test_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers, "RESULTS", tmp_path)
    assert peers.main([str(tmp_path), "--only", "odin"]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path}/ODIN is missing; make it with: git clone "
        f"https://github.com/ChFrenkel/ODIN {tmp_path}/ODIN\n"
    )
    (tmp_path / "ODIN").mkdir()
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    assert peers.main([str(tmp_path), "--only", "odin"]) == 2
    assert "pyosys is missing; install it with: " in capsys.readouterr().err


def test_the_page_is_that_of_the_record():
    """If this fails, run ``python -m tools.peers``."""
    assert peers.PAGE.read_text("utf-8") == peers_page.page()
