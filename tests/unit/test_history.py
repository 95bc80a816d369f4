"""Lines of docs/history.md."""

import json

from tools import history

REPORT = {
    "board": "ulx3s-85f",
    "config": "ulx3s",
    "clock_mhz": 66.12,
    "target_mhz": 50.0,
    "cells": {"LUT4": 14158, "CCU2C": 3045, "FF": 16937, "DSP": 56, "BRAM": 180, "RAM16": 132},
}


def test_lines_are_appended(tmp_path, monkeypatch):
    path, page = tmp_path / "report.json", tmp_path / "history.md"
    path.write_text(json.dumps(REPORT))
    monkeypatch.setattr(history, "PAGE", page)
    monkeypatch.setattr(history, "cycles_a_token", lambda config: 57744)
    monkeypatch.setattr(history, "version", lambda: "abc1234")
    monkeypatch.setattr(history.append, "__defaults__", (page,))
    assert history.main([str(path)]) == 0
    assert history.main([str(path), str(path)]) == 0
    text = page.read_text()
    assert text.startswith(history.HEAD)
    lines = text.removeprefix(history.HEAD).splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1
    assert lines[0].split(" | ", 1)[1] == (
        "abc1234 | `ulx3s` | ulx3s-85f | 14,158 | 3,045 | 16,937 | 56 | 180 | "
        "66.12 MHz of 50 | 57,744 |"
    )
