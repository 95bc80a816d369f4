"""Reading what the tools write; the tools themselves run in `tests/slow`."""

import json
from collections import Counter

import pytest

from hw.synth import ecp5, tools
from hw.synth.ecp5 import Netlist, Placement, Step

CELLS = {
    "encoder": "$scopeinfo",
    "encoder.memory": "$scopeinfo",
    "encoder.memory.code.0.1_DO_LUT4_Z": "LUT4",
    "encoder.memory.code_TRELLIS_FF_Q": "TRELLIS_FF",
    "encoder.go_LUT4_Z": "LUT4",
    "encoder.go_LUT4_Z_1": "LUT4",
    "s_axil_rdata_TRELLIS_FF_Q_DI_LUT4_Z": "LUT4",
    "$abc$1": "LUT4",
}


@pytest.fixture
def netlist(tmp_path):
    path = tmp_path / "net.json"
    cells = {name: {"type": kind} for name, kind in CELLS.items()}
    path.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    return Netlist.load(path, "top", {"s_axil_": "bus"})


def test_cells_by_instance(netlist):
    assert netlist.instances == {"encoder", "encoder.memory"}
    assert netlist.count() == {
        "encoder": Counter(LUT4=2),
        "encoder.memory": Counter(LUT4=1, TRELLIS_FF=1),
        "bus": Counter(LUT4=1),
        "": Counter(LUT4=1),
    }


def _path(start, end, *delays):
    steps = [
        {"type": kind, "delay": delay, "to": {"cell": f"c{i}"}}
        for i, (kind, delay) in enumerate(delays)
    ]
    return {"from": start, "to": end, "path": steps}


def test_the_slowest_path_is_one_between_registers(tmp_path):
    clock = "posedge clk"
    report = {
        "fmax": {"clk": {"achieved": 101.5, "constraint": 125}},
        "critical_paths": [
            _path("<async>", clock, ("routing", 99)),
            _path(clock, clock, ("clk-to-q", 0.5), ("routing", 1.25)),
            _path("<async>", "<async>", ("routing", 99)),
        ],
        "utilization": {
            "TRELLIS_COMB": {"used": 12, "available": 83640},
            "DCUA": {"used": 0, "available": 2},
        },
    }
    path = tmp_path / "timing.json"
    path.write_text(json.dumps(report))
    placement = Placement.load(path)
    assert placement.clocks == {"clk": 101.5}
    assert placement.path == [Step("clk-to-q", 0.5, "c0"), Step("routing", 1.25, "c1")]
    assert placement.used == {"TRELLIS_COMB": 12}
    assert placement.available["DCUA"] == 2


def test_missing_tool(monkeypatch):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(tools.ToolError, match="^pyosys is missing; install it with: pip install"):
        tools.version("pyosys")


def test_failing_tool(monkeypatch, tmp_path):
    """The last line that it printed and the log's place are in the message; progress saw it all."""
    monkeypatch.setattr(tools, "version", lambda module: module)
    program = "import sys; print('a'); print(sys.argv[1]); print(); sys.exit(3)"
    lines, log = [], tmp_path / "tool.log"
    where = {"folder": tmp_path, "log": log.name}
    with pytest.raises(tools.ToolError, match=rf"^pyosys failed \(no such top\); .* {log}$"):
        tools.run("pyosys", program, ["no such top"], **where, progress=lines.append)
    assert log.read_text() == "a\nno such top\n\n"
    assert lines == ["a", "no such top", "no such top"]


def test_names_are_kept_where_hiding_them_fails(tmp_path, monkeypatch):
    """Yosys stumbles over some designs with hidden names; any other failure is told at once."""
    said = ["ERROR: Assert `GetSize(conn.first) == GetSize(conn.second)' failed in x", None]
    asked = []

    def run(module, program, arguments, **_):
        asked.append(arguments)
        if message := said[len(asked) - 1]:
            raise tools.ToolError(message)
        (tmp_path / "top.json").write_text(
            json.dumps({"modules": {"top": {"cells": {}, "ports": {}}}})
        )

    monkeypatch.setattr(tools, "run", run)
    assert ecp5.synthesize("", "top", tmp_path, ports={}, glue=["inner"]).cells == {}
    assert asked[0][2:4] == ["rename -hide top/w:*", "rename -hide inner/w:*"]
    assert asked[1] == asked[0][:2] + asked[0][4:]
    assert asked[1][-1] == "synth_ecp5 -top top -json top.json"
    asked.clear()
    ecp5.synthesize("", "top", tmp_path, ports={}, multipliers=False)
    assert asked[-1][-1] == "synth_ecp5 -top top -json top.json -nodsp"
    for again in (said[:1] * 2, ["ERROR: no such module", None]):
        asked.clear()
        said[:] = again
        with pytest.raises(tools.ToolError):
            ecp5.synthesize("", "top", tmp_path, ports={})
        assert len(asked) == sum(message is not None for message in again)
