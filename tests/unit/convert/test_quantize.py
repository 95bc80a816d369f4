"""4-bit weights: error compensation against plain rounding."""

import numpy as np
import pytest
import torch

from sw.convert.quantize import (
    output_error,
    quantize_compensated,
    quantize_rounding,
    quantize_search,
)
from sw.convert.weights import convert_matrix
from sw.errors import UserError
from sw.golden.fake_weights import fake_weight


def problem(rows: int, inputs: int, seed: int) -> tuple[np.ndarray, torch.Tensor]:
    """Weights, and the Hessian of inputs that are correlated and of several sizes."""
    rng = np.random.default_rng(seed)
    weights = (rng.standard_t(4, (rows, inputs)) / inputs**0.5).astype(np.float32)
    mixing = rng.normal(size=(inputs // 4, inputs)) * 4.0 ** rng.uniform(-1, 1, inputs)
    x = rng.normal(size=(500, inputs // 4)) @ mixing + 0.2 * rng.normal(size=(500, inputs))
    return weights, torch.from_numpy(x.T @ x)


@pytest.mark.parametrize("rows, inputs", [(7, 64), (33, 160), (12, 32)])
def test_compensation_beats_search_beats_rounding(rows, inputs):
    for seed in range(5):
        weights, hessian = problem(rows, inputs, seed)
        rounding, search, compensated = (
            output_error(weights, chosen, hessian)
            for chosen in (
                quantize_rounding(weights),
                quantize_search(weights, hessian.diagonal()),
                quantize_compensated(weights, hessian),
            )
        )
        assert compensated < 0.6 * rounding
        assert compensated < search
        assert search < rounding


def test_output_error_is_that_of_outputs():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(5, 64)).astype(np.float32)
    x = rng.normal(size=(64, 40))
    chosen = quantize_rounding(weights)
    exact, got = weights @ x, chosen.dequantize() @ x
    wanted = ((got - exact) ** 2).sum() / (exact**2).sum()
    assert output_error(weights, chosen, torch.from_numpy(x @ x.T)) == pytest.approx(wanted)


def test_uncorrelated_inputs_leave_nothing_to_compensate():
    weights, _ = problem(9, 96, 3)
    chosen = quantize_compensated(weights, torch.eye(96, dtype=torch.float64))
    assert np.array_equal(chosen.codes, quantize_search(weights).codes)


@pytest.mark.parametrize("method", ["rounding", "search", "compensated"])
def test_the_converted_matrix_holds_exactly_what_was_chosen(method):
    weights, hessian = problem(40, 96, 4)
    weights[3] = 0
    weights[4] *= 1e-5
    weights[5, 32:64] = 0.25
    chosen = {
        "rounding": lambda: quantize_rounding(weights),
        "search": lambda: quantize_search(weights),
        "compensated": lambda: quantize_compensated(weights, hessian),
    }[method]()
    assert chosen.codes.min() >= -8 and chosen.codes.max() <= 7
    matrix = convert_matrix([chosen])
    d, b = (part.repeat(32, 1).astype(np.float64) for part in (matrix.d, matrix.b))
    values = np.ldexp(d * matrix.codes + b, matrix.exponent[:, None].astype(int))
    assert np.array_equal(values.astype(np.float32), chosen.dequantize())
    assert not values[3].any()


def test_rounding_is_what_training_has_in_its_loop():
    weights, _ = problem(20, 64, 5)
    trained = fake_weight(torch.from_numpy(weights), "blk.0.ffn_up.weight")
    assert np.array_equal(quantize_rounding(weights).dequantize(), trained.numpy())


def test_compensation_is_deterministic_and_bears_unused_inputs():
    weights, hessian = problem(11, 64, 6)
    hessian[:, 5] = hessian[5] = 0
    first, second = (quantize_compensated(weights, hessian) for _ in range(2))
    assert np.array_equal(first.codes, second.codes) and np.array_equal(first.scale, second.scale)
    assert output_error(weights, first, hessian) < 0.01


def test_groups_must_be_whole():
    with pytest.raises(UserError, match="groups of 32 inputs, and a matrix has 70: convert with"):
        quantize_rounding(np.zeros((2, 70), np.float32))
