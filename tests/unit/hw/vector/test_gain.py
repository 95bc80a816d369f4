# amaranth: UnusedElaboratable=no
"""Gain of the context against the model."""

import random
from fractions import Fraction

import pytest

from hw.vector.gain import LATENCY, Gain, model
from tests.unit.hw.vector.drive import run


def rows():
    """Sums and mantissas: extremes, powers of two and their neighbours, random ones."""
    rng = random.Random(8)
    made = [(1, 0), (65535, 0), (65535, 65535), (65535 * 65536, 65535), (32768, 65535), (3, 40000)]
    made += [(max((1 << n) + d, 1), 1 << 15) for n in range(32) for d in (-1, 0, 1)]
    made += [(rng.randrange(1, 1 << rng.randrange(1, 33)), rng.getrandbits(16)) for _ in range(40)]
    return made


def test_model():
    """Against rational numbers: rounded twice, and the reciprocal clamped to 16 bits."""
    for total, mantissa in rows():
        gain, jz = model(total, mantissa)
        top = Fraction(total) / Fraction(2) ** jz
        assert 1 << 15 <= top < 1 << 16
        exact = Fraction(1 << 39) / (255 * top)
        clamped = max(0, exact - 65535)
        assert abs(gain - mantissa * exact / (1 << 16)) <= 2 + clamped
        assert 0 <= gain <= 65534


@pytest.mark.parametrize("seed", [None, 4])
def test_gain(seed):
    items = [{"total": total, "mantissa": mantissa} for total, mantissa in rows()]
    seen = run(Gain(), {"sums": items}, ["gain"], seed=seed)
    got = [(result.gain, result.exponent) for _, result in seen["gain"]]
    assert got == [model(*row) for row in rows()]
    if seed is None:
        starts = [cycle for cycle, _ in seen["sums"]]
        assert [cycle for cycle, _ in seen["gain"]] == [start + LATENCY for start in starts]
