# amaranth: UnusedElaboratable=no
"""Both passes of normalization against their models, and these against the golden model."""

import random

import pytest
import torch

from hw.vector import normalization_shift, normalize
from hw.vector.beat import beat_layout
from hw.vector.normalization_shift import NormalizationShift
from hw.vector.normalize import Normalize
from sw.golden import integers
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run, vectors

BITS = (9, 24, 47)


def cases(bits):
    """Extremes, ties, numbers that saturate either way, and random vectors of all sizes."""
    rng = random.Random(bits)
    top = (1 << bits - 1) - 1
    extremes = [[0], [0] * 9, [1], [-1], [top, -top], [-top - 1], [0] * 7 + [-top]]
    ties = [
        [sign * ((1 << n + 14) + (odd << n) + (1 << n >> 1)) for sign in (1, -1) for odd in (0, 1)]
        for n in range(max(bits - 15, 0))
    ]
    saturating = [[(1 << n) - 1, 1 - (1 << n)] for n in range(1, bits)]
    scattered = []
    for _ in range(60):
        bound = 1 << rng.randrange(bits)
        scattered.append([rng.randrange(-bound, bound) for _ in range(rng.randrange(1, 20))])
    every = extremes + ties + saturating + scattered
    return [[max(min(v, top), -top - 1) for v in y] for y in every]


@pytest.mark.parametrize("bits", BITS)
def test_models_are_golden(bits):
    for y in cases(bits):
        x, n = integers.normalize(torch.tensor(y))
        assert normalization_shift.model(y) == n.item()
        assert normalize.model(y, n.item()) == x.tolist()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("seed", [None, 5])
def test_shift(width, bits, seed):
    ys = cases(bits)
    dut = NormalizationShift(width=width, element_bits=bits)
    items = [beat for y in ys for beat in beats(y, width, filler=-1 << bits - 1)]
    seen = run(dut, {"elements": items}, ["shift"], seed=seed)
    assert [n for _, n in seen["shift"]] == [normalization_shift.model(y) for y in ys]
    expected = [cycle + dut.latency for cycle in last_cycles(seen["elements"])]
    assert [cycle for cycle, _ in seen["shift"]] == expected


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("seed", [None, 5])
def test_normalize(width, bits, seed):
    by_shift = {}
    for y in cases(bits):
        by_shift.setdefault(normalization_shift.model(y), []).append(y)
    dut = Normalize(width=width, element_bits=bits)
    for shift, ys in by_shift.items():
        items = [beat for y in ys for beat in beats(y, width, filler=1)]
        seen = run(
            dut,
            {"elements": items},
            ["inputs"],
            constants=[(dut.shift, shift)],
            lead=1,
            seed=seed,
            settle=10,
        )
        assert vectors(seen["inputs"]) == [normalize.model(y, shift) for y in ys]
        expected = [cycle + normalize.LATENCY for cycle, _ in seen["elements"]]
        assert [cycle for cycle, _ in seen["inputs"]] == expected


def test_saturation_is_met():
    x = [v for y in cases(47) for v in normalize.model(y, normalization_shift.model(y))]
    assert max(x) == 32767 and min(x) == -32767


@pytest.mark.parametrize("component", [Normalize, NormalizationShift])
def test_parameters(component):
    with pytest.raises(ValueError, match="element_bits must be 2..62, not 63; 47 hold"):
        component(element_bits=63)
    with pytest.raises(ValueError, match="width must be at least 1 element a cycle, not 0; choose"):
        component(width=0)
    with pytest.raises(ValueError, match="width must be at least 1"):
        beat_layout(1, -3)
