"""The papers' claims: their numbers as known, ours from the counters."""

import pytest
import torch

from sw.compare.baselines import BASELINES
from sw.compare.run import Comparison
from sw.energy.claims import KIRIN_STEPS, MATTERHORN, OTTERS, ROWS, claims
from sw.energy.technology import MissingConstantError, load_technology
from tests.unit.golden.models import TINY, random_model


@pytest.fixture(scope="module")
def runs():
    comparison = Comparison(random_model(TINY, seed=2), None, torch.arange(24) % 19, window=12)
    chosen = [baseline for baseline in BASELINES if baseline.name in ROWS]
    return {baseline.name: comparison.measure(baseline).activities for baseline in chosen}


SHAPE = {"config": TINY, "tokens": 24, "window": 12}


def test_lines(runs):
    lines = claims(runs, load_technology("22nm"), load_technology("ye2023"), **SHAPE)
    assert lines[0].ours == lines[0].theirs == KIRIN_STEPS == 1 - 16 / 256
    assert all(line.reason and line.ours is not None for line in lines)
    by_claim = {line.claim: line for line in lines}
    assert len(by_claim) == len(lines) == 2 + 2 * 3 + 2 * 6
    for counting in ("synapse", "broadcast"):
        masked = by_claim[f"Matterhorn: M-TTFS (k = 0), energy relative to TTFS ({counting})"]
        zone = by_claim[f"Matterhorn: dead zone k = 1, energy relative to TTFS ({counting})"]
        assert 0 < zone.ours < masked.ours < 1
        executed = by_claim[
            f"Kirin: energy saved over TTFS-256 that executes every step ({counting})"
        ]
        skipped = by_claim[f"same, over TTFS-256 that skips empty steps ({counting})"]
        assert executed.ours > skipped.ours
    msu = [line for line in lines if "2.31" in line.claim]
    assert msu[0].theirs == pytest.approx(2.31, abs=0.01) == OTTERS / MATTERHORN["with MSU"][0]


def test_without_a_macro_it_stops(runs):
    with pytest.raises(MissingConstantError, match="no constant 'output_sparse'"):
        claims(runs, load_technology("22nm"), load_technology("45nm"), **SHAPE)
