"""Vector functions against the formulas in Python's integers, and against real numbers."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.luts import SIGMOID
from sw.golden.vector import Norm, add_residual, embed, gate, inverse_rms, rotate, scaled
from tests.unit.golden.reference import exact_saturate, exact_shift

WORD_MAX = 2**23 - 1
words = st.integers(-WORD_MAX, WORD_MAX)


@given(st.lists(words, min_size=1, max_size=7), st.integers(1, 2**40))
def test_inverse_rms(h, epsilon):
    root = scaled(Decimal(len(h)).sqrt())
    total = sum(value * value for value in h) + epsilon
    expected_u = math.ceil((total.bit_length() - 32) / 2)
    a = total >> 2 * expected_u if expected_u >= 0 else total << -2 * expected_u
    assert 2**30 <= a < 2**32
    c = min(2**31 // math.isqrt(a), 65535)
    multiplier, u = inverse_rms(torch.tensor(h), epsilon=epsilon, root=root)
    assert u.item() == expected_u
    assert multiplier.item() == (c * root.mantissa + 2**15) >> 16 <= 65534
    value = multiplier.item() * 2.0 ** (root.exponent - 15 - expected_u)
    assert value == pytest.approx(math.sqrt(len(h) / total), rel=2**-12)


def test_inverse_rms_of_the_longest_and_loudest_vector():
    h = torch.full((65536,), -WORD_MAX)
    multiplier, u = inverse_rms(h, epsilon=1, root=scaled(Decimal(65536).sqrt()))
    value = multiplier.item() * 2.0 ** (scaled(Decimal(256)).exponent - 15 - u.item())
    assert value == pytest.approx(1 / WORD_MAX, rel=2**-12)


@pytest.mark.parametrize("value", [1, 576, 3, 65535, 65536, 4096])
def test_scaled_constants_have_16_bits(value):
    mantissa, exponent = scaled(Decimal(value).sqrt())
    assert 2**15 <= mantissa <= 65535
    assert mantissa * 2.0**exponent == pytest.approx(math.sqrt(value), rel=2**-16)


def test_norm_and_rescale_reach_the_real_value():
    rng = np.random.default_rng(4)
    gamma = rng.integers(-32767, 32768, 77).astype(np.int16)
    norm = Norm.of(gamma, 13, epsilon=1e-5, fraction=11)
    h = torch.from_numpy(rng.integers(-9000, 9000, (5, 77)))
    normed = norm(h)
    assert normed.x.abs().amax(-1).min() >= 2**14
    exponents, base = torch.tensor([-9, -14]), torch.tensor([0, 1, 2, 3, 4])
    accumulator = torch.from_numpy(rng.integers(-(2**36), 2**36, (5, 2)))
    y = norm.rescale(accumulator, normed, exponents, base, 12)
    rms = np.sqrt((h.numpy() / 2.0**11) ** 2 @ np.full(77, 1 / 77) + 1e-5)
    power = exponents.numpy() + (base + normed.n).numpy()[:, None] - 4 - 11 - 13
    expected = (accumulator.numpy() * 2.0**power / rms[:, None] * 2**12).clip(-WORD_MAX, WORD_MAX)
    assert y.numpy() == pytest.approx(expected, rel=1e-3, abs=1)


def test_norm_of_silence():
    norm = Norm.of(np.ones(9, np.int16), 0, epsilon=1e-9, fraction=4)
    normed = norm(torch.zeros(1, 9, dtype=torch.int64))
    assert norm.epsilon == 1 and normed.x.eq(0).all() and normed.n.item() == 0
    zero = torch.zeros(1, 2, dtype=torch.int64)
    y = norm.rescale(zero, normed, torch.tensor([-20, 3]), torch.tensor([0]), 12)
    assert y.tolist() == [[0, 0]]


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotate(interleaved):
    rng = np.random.default_rng(0)
    y = rng.integers(-WORD_MAX, WORD_MAX + 1, (3, 2, 10))
    y[0] = WORD_MAX
    rotary = rng.integers(-16384, 16385, (3, 5, 2))
    rotary[0] = 16384
    turned = rotate(torch.from_numpy(y), torch.from_numpy(rotary), interleaved=interleaved)
    for token, head, pair in np.ndindex(3, 2, 5):
        i, j = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + 5)
        a, b = (int(y[token, head, k]) for k in (i, j))
        cosine, sine = (int(part) for part in rotary[token, pair])
        first = exact_saturate(exact_shift(a * cosine - b * sine, 14), 24)
        second = exact_saturate(exact_shift(a * sine + b * cosine, 14), 24)
        assert turned[token, head, [i, j]].tolist() == [first, second]


@given(words, words)
def test_gate(g, u):
    index = (g >> 6) + 512
    sigma = 0 if index < 0 else 32768 if index > 1023 else SIGMOID[index]
    expected = exact_shift(g * sigma, 15) * u
    assert gate(torch.tensor(g), torch.tensor(u)).item() == expected
    real = g * u / (1 + math.exp(-g / 4096)) if g > -(2**20) else 0
    assert expected == pytest.approx(real, abs=abs(u) * (4 + abs(g) / 400))
    assert expected.bit_length() <= 46


@given(words, st.integers(-(2**45), 2**45), st.integers(-40, 60), st.integers(-30, 5))
def test_add_residual(h, accumulator, k, r):
    expected = exact_saturate(exact_shift(accumulator * 32768, 15 + 4 + k - 9 - r), 24)
    total = add_residual(
        torch.tensor([[h]]),
        torch.tensor([[accumulator]]),
        torch.tensor([k]),
        torch.tensor([r]),
        fraction=9,
    )
    assert total.item() == exact_saturate(h + expected, 24)


@given(st.integers(-(2**14), 2**14), st.integers(-30, 40))
def test_embed(row, r):
    h = embed(torch.tensor([[row]]), torch.tensor([r]), fraction=8)
    assert h.item() == exact_saturate(exact_shift(row, -(r + 8)), 24)
