"""Rounding and saturation against Python's unbounded integers."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sw.golden.integers import bits, normalize, rescale, saturate, saturating_shift, shift
from tests.unit.golden.reference import exact_saturate, exact_shift

LARGEST = 2**62 - 1


@given(st.integers(0, LARGEST))
def test_bits(x):
    assert bits(torch.tensor([x])).tolist() == [x.bit_length()]


def test_bits_around_every_power_of_two():
    x = [2**i + d for i in range(62) for d in (-1, 0, 1)]
    assert bits(torch.tensor(x)).tolist() == [value.bit_length() for value in x]


@given(st.integers(-(2**61), 2**61), st.integers(0, 62))
def test_shift_right(x, k):
    assert shift(torch.tensor([x]), k).item() == exact_shift(x, k)
    assert shift(torch.tensor([x]), torch.tensor([k])).item() == exact_shift(x, k)


@given(st.integers(-(2**40), 2**40), st.integers(-20, 0))
def test_shift_left(x, k):
    assert shift(torch.tensor([x]), k).item() == x << -k
    assert shift(torch.tensor([x]), torch.tensor([k])).item() == x << -k


@given(st.integers(-(2**61) + 1, 2**61 - 1), st.integers(63, 500))
def test_shift_far_right_is_zero(x, k):
    assert shift(torch.tensor([x]), k).item() == 0 == exact_shift(x, k)
    assert shift(torch.tensor([x]), torch.tensor([k])).item() == 0


@given(st.integers(-(2**61) + 1, 2**61 - 1), st.integers(-300, 100))
def test_saturating_shift_is_exact_for_every_shift(x, k):
    expected = exact_saturate(exact_shift(x, k), 24)
    assert saturating_shift(torch.tensor([x]), torch.tensor([k]), 24).item() == expected
    assert saturating_shift(torch.tensor([x]), k, 24).item() == expected


def test_saturate_is_symmetric():
    assert saturate(torch.tensor([-129, -128, -127, 127, 128]), 8).tolist() == [
        -127,
        -127,
        -127,
        127,
        127,
    ]


@given(st.lists(st.integers(-(2**47), 2**47), min_size=1, max_size=9))
def test_normalize(y):
    x, n = normalize(torch.tensor(y))
    largest = max(abs(value) for value in y)
    assert n.item() == (largest.bit_length() - 15 if largest else 0)
    assert x.tolist() == [exact_saturate(exact_shift(value, n.item()), 16) for value in y]
    assert largest == 0 or 2**14 <= x.abs().max() <= 32767


@given(st.integers(-(2**45), 2**45), st.integers(0, 65535), st.integers(-30, 70))
def test_rescale(accumulator, multiplier, k):
    expected = exact_saturate(exact_shift(accumulator * multiplier, k), 24)
    assert rescale(torch.tensor([accumulator]), multiplier, torch.tensor(k)).item() == expected
