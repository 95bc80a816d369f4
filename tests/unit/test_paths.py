"""Estimated paths of a netlist of a few cells."""

import json

import pytest

from tools import paths


def cell(kind, **pins):
    outputs = ("Q", "Z", "S0", "S1", "COUT")
    return {
        "type": kind,
        "connections": {pin: [bit] for pin, bit in pins.items()},
        "port_directions": {pin: "output" if pin in outputs else "input" for pin in pins},
    }


CELLS = {
    "core.matrix.a.from_TRELLIS_FF_Q_3": cell("TRELLIS_FF", Q=1, DI=9),
    "core.matrix.a.lut": cell("LUT4", A=1, B="0", Z=2),
    "core.matrix.a.carry_0": cell("CCU2C", A0=2, COUT=3),
    "core.matrix.a.carry_1": cell("CCU2C", CIN=3, S1=4),
    "core.token$7.b.to_TRELLIS_FF_Q": cell("TRELLIS_FF", DI=4, CE=1, Q=5),
    "core.token$7.b.to_TRELLIS_FF_Q_1": cell("TRELLIS_FF", DI=2, Q=6),
}


def test_delays():
    """Wires by their ends; carries, and a register behind its logic, have none."""
    data, enable = paths.Timing(CELLS).slow(0)
    wire = paths.WIRE + paths.DOUBLING
    assert (data.begin, data.end, data.count) == ("a.from", "b.to", 2)
    assert data.delay == pytest.approx(0.5 + wire + 0.24 + wire + 0.45 + 0.44)
    assert (enable.begin, enable.end, enable.count) == ("a.from", "b.to:CE", 1)
    assert enable.delay == pytest.approx(0.5 + wire)
    assert paths.Timing(CELLS).slow(3) == [data._replace(count=1)]


def test_command(tmp_path, capsys):
    netlist = tmp_path / "harness.json"
    netlist.write_text(json.dumps({"modules": {"harness": {"cells": CELLS}}}))
    assert paths.main([str(netlist), "--limit", "3"]) == 0
    assert capsys.readouterr().out == "   3.7 ns      1  a.from to b.to\n"
    assert paths.main([str(tmp_path / "none.json")]) == 2
    assert "is no netlist of harness" in capsys.readouterr().err
