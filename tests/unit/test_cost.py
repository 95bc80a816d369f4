"""Predictions of cells, from made-up syntheses."""

import json

import numpy as np
import pytest

from hw.spec.configs import CONFIGS
from hw.spec.params import CoreParams
from hw.synth.cost import arrangement, blocks, features
from hw.synth.tools import ToolError
from tools import cost

#: Coefficients that made-up cells follow exactly.
TRUE = {
    "LUT": {"one": 2000, "mac lanes": 30, "spike lanes": 50, "token": 4000, "vector width": 1500},
    "DSP": {"one": 5, "mac lanes": 0.5, "streams": 4, "token": 9, "vector width": 13},
    "BRAM": {"one": 2, "memories": 1, "vector width": 1},
}


def made_up():
    sizes = {name: features(CoreParams(config)) for name, config in CONFIGS.items()}
    return {
        name: {what: sum(c * each[f] for f, c in table.items()) for what, table in TRUE.items()}
        for name, each in sizes.items()
    }


@pytest.mark.parametrize(
    ("words", "bits", "expected"),
    [
        (1024, 18, (1, 1)),
        (1025, 18, (2, 1)),  # two blocks of 9 bits side by side leave nothing to choose
        (65536, 32, (128, 4)),
        (16384, 1, (1, 1)),
        (512, 36, (1, 1)),
        (1, 45, (2, 1)),
    ],
)
def test_block_rams_of_a_memory(words, bits, expected):
    assert arrangement(words, bits) == expected
    assert blocks(words, bits) == expected[0]


def test_fit_finds_what_cells_follow():
    found = cost.fit(made_up())
    for what, table in TRUE.items():
        assert found[what] == pytest.approx(table, rel=1e-3)
        assert set(found[what]) == set(table)


def test_no_coefficient_is_negative():
    """The best fit of a line that falls is a constant."""
    rows = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    assert cost._not_negative(rows, np.array([3.0, 2.0, 1.0])) == pytest.approx([2.0, 0.0])
    assert cost._not_negative(rows, np.array([1.0, 2.0, 3.0])) == pytest.approx([1.0, 1.0])
    assert cost._not_negative(-rows, np.array([1.0, 2.0, 3.0])) == pytest.approx([0.0, 0.0])


def test_errors_with_and_without_a_configuration():
    measured = made_up()
    measured["mac8"]["LUT"] *= 1.25
    assert cost.errors(measured, "mac8", alone=True)["LUT"] == pytest.approx(-0.2, abs=1e-3)
    assert -0.2 < cost.errors(measured, "mac8", alone=False)["LUT"] < -0.01
    lines = cost.comparison(measured).splitlines()
    assert len(lines) == 1 + len(CONFIGS)
    (line,) = (line for line in lines if line.split()[0] == "mac8")
    assert line.split()[3] == "-20.0%" and line.split()[4] == "13.0"


def test_stale_records(monkeypatch):
    monkeypatch.setattr(cost, "CONFIGS", {name: CONFIGS[name] for name in ("mac8", "spike8")})
    monkeypatch.setattr(cost, "generate", lambda params: (f"tool\n{params.integrator}", {}))
    kept = {"mac8": {"verilog": cost.digest("another tool\nmac")}}
    assert cost.stale(kept) == ["spike8"]
    kept["spike8"] = {"verilog": cost.digest("tool\nspike ")}
    assert cost.stale(kept) == ["spike8"]


def test_command(monkeypatch, tmp_path, capsys):
    """Cells are kept after each synthesis; a tool that fails is told in a sentence."""
    record, table = tmp_path / "record.json", tmp_path / "table.py"
    monkeypatch.setattr(cost, "ROOT", tmp_path)
    monkeypatch.setattr(cost, "MEASURED", record)
    monkeypatch.setattr(cost, "TABLE", table)
    cells = {"LUT4": 3000, "CCU2C": 500, "MULT18X18D": 13, "DP16KD": 138}
    known = {name: {"cells": cells} for name in CONFIGS if name not in ("mac8", "spike8")}
    record.write_text(json.dumps(known))

    def synthesize(name):
        if name == "spike8":
            raise ToolError("pyosys is missing")
        return {"version": "v", "verilog": "h", "cells": cells}

    monkeypatch.setattr(cost, "synthesize", synthesize)
    monkeypatch.setattr(cost, "stale", lambda kept: ["mac64"])
    assert cost.main(["mac8", "--stale"]) == 0
    assert json.loads(record.read_text())["mac8"]["verilog"] == "h"
    assert '"mac8",\n' in table.read_text() and '"spike8"' not in table.read_text()
    out = capsys.readouterr().out
    assert "not synthesized yet: spike8\n" in out and "changed since: mac64\n" in out
    assert cost.main(["spike8"]) == 2
    assert capsys.readouterr().err.endswith("pyosys is missing\n")
