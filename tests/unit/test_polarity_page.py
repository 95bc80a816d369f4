"""The page of sentence polarity, of measured and of missing numbers."""

from __future__ import annotations

import json

import pytest

from tools import commands, polarity


@pytest.fixture
def folder(tmp_path):
    for seed, golden in ((1, 0.86), (2, 0.88)):
        shares = {
            kind: {"integer": 0.02, "silent": 0.1, "spike": 0.88} for kind in ("elements", "macs")
        }
        codes = {
            "accuracy": {"float": 0.87, "fake": 0.865, "golden": golden},
            "shares": shares,
            "sentences": 2578,
        }
        (tmp_path / f"codes{seed}.json").write_text(json.dumps(codes))
    (tmp_path / "silent1.json").write_text(json.dumps({**codes, "sentences": 2578}))
    return tmp_path


def test_means_and_differences(folder):
    page = polarity.page(folder, [1, 2])
    assert "2,578 test sentences" in page
    assert "| W4, compensated; A4&8; golden | 86.00% | 88.00% | 87.00% ± 1.41% |" in page
    assert "| W4A4&8, golden, less float, points | -1.00 | +1.00 | +0.00 ± 1.41 |" in page
    assert "| dead zone trained in, golden, less float, points | +1.00 |  | +1.00 |" in page
    assert "| W4, rounding; A4&8; fake |  |  |  |" in page
    assert "    firstspike train polarity --model minilm --seed N -o floatN.safetensors" in page


def test_what_is_made_is_not_made_again(folder, monkeypatch):
    made = []
    monkeypatch.setattr(commands, "run", lambda arguments, where: made.append(arguments))
    polarity.measure(folder, 1)
    assert len(made) == len(polarity.STEPS) - 2
    assert not any("--json codes1.json" in arguments for arguments in made)
