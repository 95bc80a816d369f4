"""One float64 product against sums group by group in int64."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import accumulator_width
from sw.golden.codes import encode, from_codes
from sw.golden.matrix import Matrix
from tests.unit.golden.models import random_matrix

FORMATS = pytest.mark.parametrize("weight_format", [W4, W8], ids=lambda f: f.name)


@FORMATS
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
@pytest.mark.parametrize("inputs", [1, 31, 32, 77, 160])
def test_product_equals_groups(weight_format, table, inputs):
    rng = np.random.default_rng(inputs)
    matrix = Matrix(random_matrix(rng, 11, inputs, weight_format))
    m = 6 if table.masked else None
    x = torch.from_numpy(rng.integers(-32767, 32768, (2, 3, inputs)) >> rng.integers(0, 15, inputs))
    encoded = encode(x, table=table, constant=500, silent_level=m)
    accumulator = matrix.matvec(encoded)
    assert accumulator.shape == (2, 3, 11)
    assert torch.equal(accumulator, matrix.matvec_groups(encoded))
    alone = encode(x[1, 2], table=table, constant=500, silent_level=m)
    assert torch.equal(matrix.matvec(alone), accumulator[1, 2])


@FORMATS
def test_largest_sums_are_exact_and_fit_their_width(weight_format):
    inputs = 2 * 1536
    low = -8 if weight_format is W4 else -128
    groups = np.full((2, inputs // 32), -127, np.int8)
    matrix = Matrix(
        dataclasses.replace(
            random_matrix(np.random.default_rng(0), 2, inputs, weight_format),
            codes=np.full((2, inputs), low, np.int8),
            d=groups,
            b=groups if weight_format is W4 else np.zeros_like(groups),
        )
    )
    encoded = from_codes(torch.full((inputs,), 255), table=TABLES["companded"])
    encoded = dataclasses.replace(encoded, scales=torch.full_like(encoded.scales, 1792))
    offset = -127 if weight_format is W4 else 0
    expected = inputs * 1792 * 255 * (-127 * low + offset)
    assert matrix.matvec(encoded).tolist() == [expected] * 2
    assert matrix.matvec_groups(encoded).tolist() == [expected] * 2
    assert expected.bit_length() < accumulator_width(inputs)


def test_rows_of_an_embedding():
    weights = random_matrix(np.random.default_rng(2), 9, 45, W8)
    rows = Matrix(weights).rows(np.array([8, 0, 8]))
    spread = np.repeat(weights.d.astype(int), 32, 1)[:, :45]
    assert rows.tolist() == (weights.codes * spread)[[8, 0, 8]].tolist()


def test_refusals():
    weights = random_matrix(np.random.default_rng(0), 5, 40)
    cases = [
        ({"d": weights.d[:, :1]}, r"wanted d of \(5, 2\), got \(5, 1\)"),
        ({"codes": weights.codes + np.int8(1)}, "w4 codes must be -8..7"),
        ({"b": np.full_like(weights.b, -128)}, "must be -127..127, got -128"),
        ({"format": W8}, "w8 has no offsets"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            Matrix(dataclasses.replace(weights, **change))
    long = random_matrix(np.random.default_rng(0), 1, 18_900, W8)
    with pytest.raises(ValueError, match="18900 inputs can exceed 46 bits"):
        Matrix(long)
    Matrix(random_matrix(np.random.default_rng(0), 1, 18_900))
