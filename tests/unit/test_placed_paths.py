"""Paths from the delays of a design of a few cells."""

import pytest

from hw.synth import ecp5, tools
from tools import placed_paths

#: Register, gate, register with enable; the second wire of the gate is faster.
SDF = r"""
(DELAYFILE
  (CELL
    (CELLTYPE "top")
    (INSTANCE )
    (DELAY
      (ABSOLUTE
        (INTERCONNECT core.matrix.a.from_TRELLIS_FF_Q/Q core.matrix.a.lut/A (1:2:2000) (1:2:3))
        (INTERCONNECT core.matrix.a.from_TRELLIS_FF_Q/Q core.matrix.a.lut/B (1:2:1000) (1:2:3))
        (INTERCONNECT core.matrix.a.lut/F core.token\$7.b.to_TRELLIS_FF_Q/DI (0:0:0) (0:0:0))
        (INTERCONNECT core.matrix.a.from_TRELLIS_FF_Q/Q core.token\$7.b.to_1/CE (0:0:700) (0:0:0))
      )))
  (CELL
    (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.matrix.a.from_TRELLIS_FF_Q)
        (IOPATH CLK Q (430:477:525) (430:477:525))
        (SETUPHOLD (posedge DI) (posedge CLK) (0:0:0) (267:285:303)))
  (CELL
    (CELLTYPE "TRELLIS_COMB")
    (INSTANCE core.matrix.a.lut)
        (IOPATH A F (200:218:236) (200:218:236))
        (IOPATH B F (200:218:236) (200:218:236)))
  (CELL
    (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.token\$7.b.to_TRELLIS_FF_Q)
        (SETUPHOLD (posedge DI) (posedge CLK) (100:200:303) (0:0:0)))
  (CELL
    (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.token\$7.b.to_1)
        (SETUPHOLD (posedge CE) (posedge CLK) (0:0:100) (0:0:0)))
)
"""


def test_delays():
    """Of several ways the slowest counts, with the setup time where it ends."""
    data, enable = placed_paths.Delays(SDF.splitlines()).slow(0)
    assert (data.begin, data.end, data.count) == ("a.from", "b.to", 1)
    assert data.delay == pytest.approx((525 + 2000 + 236 + 303) / 1000)
    assert (enable.begin, enable.end, enable.count) == ("a.from", "b.to:CE", 1)
    assert enable.delay == pytest.approx((525 + 700 + 100) / 1000)


def test_command(tmp_path, capsys, monkeypatch):
    assert placed_paths.main([str(tmp_path)]) == 2
    assert "harness.json is missing; python -m tools.area" in capsys.readouterr().err
    (tmp_path / "harness.json").write_text("{}")
    asked = []

    def run(module, program, arguments, **_):
        asked.extend(arguments)
        (tmp_path / placed_paths.SDF).write_text(SDF)

    monkeypatch.setattr(tools, "run", run)
    assert placed_paths.main([str(tmp_path), "--limit", "2", "--seed", "3"]) == 0
    assert capsys.readouterr().out == "   3.1 ns      1  a.from to b.to\n"
    assert "--no-route" in asked and asked[asked.index("--placer") + 1] == ecp5.PLACER
    assert asked[asked.index("--seed") + 1] == "3"
    asked.clear()
    assert placed_paths.main([str(tmp_path), "--route"]) == 0
    assert capsys.readouterr().out == "" and "--no-route" not in asked
    asked.clear()
    assert placed_paths.main([str(tmp_path), "--keep", "--limit", "4"]) == 0
    assert capsys.readouterr().out == "" and not asked

    def fail(*_, **__):
        raise tools.ToolError("nextpnr is missing")

    monkeypatch.setattr(tools, "run", fail)
    assert placed_paths.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == "nextpnr is missing\n"
