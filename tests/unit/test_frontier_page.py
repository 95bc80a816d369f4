"""The page of accuracy against silence, of what is measured of it."""

from __future__ import annotations

import json

import pytest

from tools import frontier


@pytest.fixture
def folder(tmp_path):
    for point, silent in (("accurate", 0.1), ("silent-0.2855", 0.2857)):
        for name, ratio in (("novel", 1.02), ("editorials", 1.03)):
            row = {"ratio": ratio + silent, "difference_stderr": 0.01, "silent": silent}
            row |= {"integer": 0.0289, "steps": 35322.4, "bytes": 84040055.1}
            (tmp_path / f"{point}-{name}.json").write_text(json.dumps({"rows": [{}, row]}))
    (tmp_path / "silent-0.35-novel.json").write_text("{}")
    return tmp_path


def test_a_row_for_every_plan_that_read_both_texts(folder):
    found = frontier.measured(folder)
    assert list(found) == ["accurate", "silent-0.2855"]
    page = frontier.page(found)
    row = "| accurate | 1.1200 ± 0.0112 | 1.1300 ± 0.0113 | 10.00% | 2.89% | 35,322 | 84,040,055 |"
    assert row in page
    assert "    silent-0.2855: --silence 0.2855 --objective events --integers 2.85%" in page
    assert "    firstspike compare accurate.safetensors --text editorials --tokens 8192" in page


def test_the_plot_is_the_same_every_time(folder, tmp_path):
    pytest.importorskip("matplotlib")  # of the extra for studies
    found = frontier.measured(folder)
    drawn = []
    for name in ("one.svg", "other.svg"):
        frontier.plot(found, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1] and b"perplexity over float" in drawn[0]
