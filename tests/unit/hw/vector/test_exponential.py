# amaranth: UnusedElaboratable=no
"""Probabilities and their sum against the model, and that against the golden model."""

import random

import pytest
import torch

from hw.vector.exponential import LATENCY, Exponential, model
from sw.golden.attention import probabilities
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run, vectors

TOP = (1 << 23) - 1


def rows():
    """Equal, least and greatest scores, every entry and halving of the table, random rows."""
    rng = random.Random(6)
    made = [[0], [-TOP], [TOP, -TOP], [-TOP] * 9, [TOP] * 7, [TOP, -TOP - 1, 0]]
    made += [list(range(-300, 300)), [256 * i + d for i in range(-40, 0) for d in (-1, 0, 1)]]
    for _ in range(30):
        bound = 1 << rng.randrange(24)
        made.append([rng.randrange(-bound, bound) for _ in range(rng.randrange(1, 20))])
    return made


def test_model_is_golden():
    for scores in rows():
        expected = probabilities(torch.tensor([scores]), torch.ones(1, len(scores), dtype=bool))
        assert model(scores) == (expected[0].tolist(), expected.sum().item())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 4])
def test_exponential(width, seed):
    # Rows of the same maximum: the port that brings it stands still.
    made = [[score - max(scores) + 5 for score in scores] for scores in rows()]
    made = [[score for score in scores if score >= -TOP] for scores in made]
    dut = Exponential(width=width)
    items = [beat for scores in made for beat in beats(scores, width, filler=5)]
    seen = run(
        dut,
        {"scores": items},
        ["probabilities", "total"],
        constants=[(dut.maximum, 5)],
        seed=seed,
    )
    expected = [model(scores) for scores in made]
    assert vectors(seen["probabilities"]) == [p for p, _ in expected]
    assert [z for _, z in seen["total"]] == [z for _, z in expected]
    arrivals = [cycle for cycle, _ in seen["probabilities"]]
    assert arrivals == [cycle + LATENCY for cycle, _ in seen["scores"]]
    ends = [cycle + dut.latency for cycle in last_cycles(seen["scores"])]
    assert [cycle for cycle, _ in seen["total"]] == ends


@pytest.mark.parametrize("maximum", [TOP, -TOP - 1, 0])
def test_maximum(maximum):
    """Scores as far apart as words allow."""
    scores = [maximum, -TOP - 1, maximum, max(maximum - 256 * 15 - 1, -TOP - 1)]
    dut = Exponential(width=3)
    items = beats(scores, 3, filler=TOP)
    seen = run(dut, {"scores": items}, ["probabilities"], constants=[(dut.maximum, maximum)])
    assert vectors(seen["probabilities"]) == [model(scores)[0]]


def test_longest_sum():
    """The sum of the longest row is reached with few beats of a wide unit."""
    dut = Exponential(width=32)
    items = beats([0] * 65536, 32, filler=0)
    seen = run(dut, {"scores": items}, ["total"])
    assert [z for _, z in seen["total"]] == [65536 * 65535]


def test_parameters():
    with pytest.raises(ValueError, match="width must be at least 1 element a cycle, not 0; choose"):
        Exponential(width=0)
