"""Weights by what their cells have become: as near as any code comes, and no other where exact."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.crossbar import PRESETS
from hw.spec.formats import W4, W8
from sw.convert.remap import remap, remap_matrix
from sw.golden.codes import from_codes
from sw.golden.crossbar import CrossbarArrays, nibbles
from tests.unit.golden.models import TINY, random_matrix, random_model

IDEAL = PRESETS["ideal"]
STUCK = IDEAL.replace(stuck_low=0.1, stuck_high=0.15, seed=4)


def _seen(weights, crossbar):
    """What an array gives for each input alone, for either polarity, shape (2, inputs, columns)."""
    arrays = CrossbarArrays(weights, crossbar, number=3, lanes=2)
    single = torch.eye(len(weights), dtype=torch.int64)
    shown = [
        arrays.group_sums(from_codes(x, table=TABLES["companded"]))[0] for x in (single, -single)
    ]
    return torch.stack([sums.sum(0) for sums in shown]).long()


@pytest.mark.parametrize("weights", [W4, W8], ids=lambda w: w.name)
@pytest.mark.parametrize(
    "crossbar",
    [
        STUCK,
        STUCK.replace(signs="phases"),
        STUCK.replace(mapping="offset"),
        STUCK.replace(mapping="sliced", signs="phases"),
    ],
    ids=lambda c: f"{c.mapping}-{c.signs}",
)
def test_as_near_as_any_code(weights, crossbar):
    matrix = random_matrix(np.random.default_rng(1), 4, 37, weights)
    wanted = nibbles(matrix)
    signs = torch.tensor([1, -1])[:, None, None]

    def error(codes):
        return (_seen(codes, crossbar) - signs * wanted).abs().sum(0)

    chosen = nibbles(remap_matrix(matrix, crossbar, number=3, lanes=2))
    every = torch.stack([error(torch.full_like(wanted, code)) for code in range(-8, 8)])
    assert torch.equal(error(chosen), every.amin(0))
    before = error(wanted)
    assert error(chosen).sum() < before.sum()
    assert (chosen == wanted)[before == 0].all()


def test_exact_cells_change_nothing():
    model = random_model(TINY, seed=1)
    same = remap(model, IDEAL, lanes=4)
    for name, matrix in model.matrices.items():
        assert (same.matrices[name].codes == matrix.codes).all()
    assert (same.head.codes == model.head.codes).all()
