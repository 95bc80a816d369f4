"""Mantissas against an exhaustive search, and on the whole model."""

import itertools

import numpy as np
import torch

from hw.spec.formats import W4
from sw.convert.container import WeightMatrix
from sw.convert.refine import nearest, quadratic, refine
from sw.convert.weights import mantissas


def random_moment(inputs: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, inputs, generator=generator).double() + 0.7
    return x.T @ x


def test_quadratic_form_is_the_error_of_the_output():
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(-8, 8, (3, 64), generator=generator).double()
    moment = random_moment(64, 2)
    errors = torch.randn(3, 4, generator=generator).double()
    form = quadratic(codes, moment)
    wrong = (codes.view(3, 2, 32) * errors[:, :2, None] + errors[:, 2:, None]).flatten(1)
    for row in range(3):
        wanted = wrong[row] @ moment @ wrong[row]
        assert torch.isclose(errors[row] @ form[row] @ errors[row], wanted)


def test_nearest_is_close_to_the_best_and_never_worse_than_rounding():
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(40, 3, 3, generator=generator).double()
    form = root @ root.transpose(1, 2) + 0.05 * torch.eye(3).double()
    wanted = 20 * torch.randn(40, 3, generator=generator).double()

    def error(chosen):
        e = chosen - wanted
        return (e[:, None] @ form @ e[..., None]).flatten()

    best = torch.full((40,), torch.inf).double()
    for offsets in itertools.product(range(-3, 4), repeat=3):
        best = best.minimum(error(wanted.round() + torch.tensor(offsets)))
    got = error(nearest(form, wanted))
    assert (got <= error(wanted.round()) + 1e-9).all()
    assert (got <= best * 1.5 + 1e-9).float().mean() > 0.9


def test_mantissas_stay_in_range():
    form = torch.eye(2).double().expand(1, 2, 2)
    assert nearest(form, torch.tensor([[500.0, -500.0]]).double()).tolist() == [[127, -127]]


def test_refined_matrix_errs_less_where_inputs_are():
    rng = np.random.default_rng(4)
    codes = rng.integers(-8, 8, (16, 96)).astype(np.int8)
    scale = rng.uniform(0.01, 0.03, (16, 3)).astype(np.float32)
    offset = rng.normal(size=(16, 3)).astype(np.float32) * 0.05
    d, b, exponent = mantissas(scale, offset)
    plain = WeightMatrix(format=W4, codes=codes, d=d, b=b, exponent=exponent)
    moment = random_moment(96, 5)
    refined = refine(plain, scale, offset, moment)
    assert np.array_equal(refined.codes, codes) and np.array_equal(refined.exponent, exponent)
    assert refined.d.dtype == refined.b.dtype == np.int8

    def value(matrix):
        spread = [np.repeat(part.astype(float), 32, 1) for part in (matrix.d, matrix.b)]
        return (spread[0] * codes + spread[1]) * np.ldexp(1.0, exponent.astype(int))[:, None]

    exact = np.repeat(scale, 32, 1) * codes + np.repeat(offset, 32, 1)
    errors = [value(matrix) - exact for matrix in (plain, refined)]
    costs = [np.einsum("ri,ij,rj->r", e, moment.numpy(), e) for e in errors]
    assert costs[1].sum() < 0.9 * costs[0].sum()
    assert (np.array(costs[1]) < costs[0]).sum() > (np.array(costs[1]) > costs[0]).sum()


def test_exact_mantissas_stay():
    scale = np.array([[64.0, 32.0]], np.float32)
    offset = np.array([[100.0, -7.0]], np.float32)
    codes = np.arange(64, dtype=np.int8).reshape(1, 64) % 16 - 8
    d, b, exponent = mantissas(scale, offset)
    matrix = WeightMatrix(format=W4, codes=codes, d=d, b=b, exponent=exponent)
    refined = refine(matrix, scale, offset, random_moment(64, 6))
    assert np.array_equal(refined.d, d) and np.array_equal(refined.b, b)
