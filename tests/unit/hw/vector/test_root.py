# amaranth: UnusedElaboratable=no
"""Sum of squares, root and reciprocal against the model, and that against the golden model."""

import random

import pytest
import torch

from hw.vector.root import RootMeanSquare, model
from sw.golden.vector import Scaled, inverse_rms
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run

TOP = (1 << 23) - 1
CONSTANTS = [(1, 1 << 15), (1, 65535), (12345, 46341), (1 << 40, 50001)]


def residuals():
    """Zero vectors, largest magnitudes, squares of the least and greatest roots, random ones."""
    rng = random.Random(3)
    ys = [[0], [0] * 7, [TOP] * 9, [-TOP - 1] * 5, [1], [-1, 0, 0], [TOP, -1, -TOP]]
    ys += [[1 << n] for n in range(23)] + [[(1 << n) - 1, -(1 << n)] for n in range(23)]
    for _ in range(30):
        bound = 1 << rng.randrange(24)
        ys.append([rng.randrange(-bound, bound) for _ in range(rng.randrange(1, 20))])
    return ys


@pytest.mark.parametrize("epsilon, root", CONSTANTS)
def test_model_is_golden(epsilon, root):
    for y in [*residuals(), [TOP] * 65536, [-TOP] * 65535]:
        multiplier, u = inverse_rms(torch.tensor(y), epsilon=epsilon, root=Scaled(root, 0))
        assert model(y, epsilon, root) == (multiplier.item(), u.item())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("epsilon, root, seed", [(*c, i or None) for i, c in enumerate(CONSTANTS)])
def test_root(width, epsilon, root, seed):
    ys = residuals()
    dut = RootMeanSquare(width=width)
    seen = run(
        dut,
        {"words": [beat for y in ys for beat in beats(y, width, filler=-TOP)]},
        ["scale"],
        constants=[(dut.epsilon, epsilon), (dut.root_of_length, root)],
        seed=seed,
    )
    got = [(scale.multiplier, scale.exponent) for _, scale in seen["scale"]]
    assert got == [model(y, epsilon, root) for y in ys]
    if seed is None:
        expected = [cycle + dut.latency for cycle in last_cycles(seen["words"])]
        assert [cycle for cycle, _ in seen["scale"]] == expected


def test_longest():
    """The sum of the longest vector is reached with few beats of a wide unit."""
    width, epsilon = 128, (1 << 62) - 1
    dut = RootMeanSquare(width=width)
    y = [-TOP] * 65536
    seen = run(
        dut,
        {"words": beats(y, width, filler=0)},
        ["scale"],
        constants=[(dut.epsilon, epsilon), (dut.root_of_length, 1 << 15)],
    )
    [(_, scale)] = seen["scale"]
    assert (scale.multiplier, scale.exponent) == model(y, epsilon, 1 << 15)


def test_latency():
    assert [RootMeanSquare(width=width).latency for width in (1, 4, 5)] == [47, 49, 50]


def test_parameters():
    with pytest.raises(ValueError, match="width must be at least 1 element a cycle, not 0; choose"):
        RootMeanSquare(width=0)
