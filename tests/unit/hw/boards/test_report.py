"""Reports of a build."""

from collections import Counter
from pathlib import Path

import pytest

from hw.boards.report import block, page, report
from hw.synth.ecp5 import Netlist, Placement, Step


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ("", "board"),
        ("memory.bank3_1.ram", "memory"),
        ("link.executor.queue", "link"),
        ("core", "core"),
        ("core.matrix.encoder.block_scale.peak", "core.matrix.encoder.block_scale"),
        ("core.matrix.scaler", "core.matrix.scaler"),
        ("core.token$296.vector_unit.drain.rescale", "core.token.vector_unit.drain"),
    ],
)
def test_blocks(instance, expected):
    assert block(instance) == expected


def test_report_and_page():
    cells = {
        "core.matrix.a_LUT4_Z": "LUT4",
        "core.matrix.b_TRELLIS_FF_Q": "TRELLIS_FF",
        "memory.bank0_0.ram.c": "DP16KD",
        "d": "CCU2C",
    }
    scopes = frozenset(("core", "core.matrix", "memory", "memory.bank0_0", "memory.bank0_0.ram"))
    netlist = Netlist(Path("none"), cells, scopes, {})
    path = [Step("clk-to-q", 0.5, "core.matrix.b_TRELLIS_FF_Q"), Step("setup", 0.25, "d")]
    sites = {"TRELLIS_COMB": 3, "TRELLIS_FF": 1, "DP16KD": 1}
    available = {"TRELLIS_COMB": 100, "TRELLIS_FF": 100, "DP16KD": 4, "MULT18X18D": 2}
    placement = Placement({"$glbnet$clock": 49.0, "other": 80.0}, path, sites, available)
    facts = {"title": "A board", "config": "c", "hash": "00ff", "seconds": {"one": 1.5}}
    found = report(netlist, placement, target=50.0, facts=facts | {"tools": ["t 1"]})
    assert found["clock_mhz"] == 49.0 and not found["timing_met"]
    assert found["cells"] == {"LUT4": 1, "CCU2C": 1, "FF": 1, "DSP": 0, "BRAM": 1, "RAM16": 0}
    assert found["blocks"]["memory"]["BRAM"] == 1
    assert sum((Counter(cells) for cells in found["blocks"].values()), Counter()) == Counter(
        {name: count for name, count in found["cells"].items() if count}
    )
    assert [step["block"] for step in found["critical_path"]] == ["core.matrix", "board"]
    assert found["critical_path_ns"] == 0.75
    text = page(found)
    assert "Clock: 49.0 MHz, 50 MHz wanted: MISSED." in text
    assert "| BRAM | 1 | 4 | 25% |" in text and "| `memory` | 0 | 0 | 0 | 0 | 1 | 0 |" in text
