"""Rescaling against its model, and the model against the golden one."""

import random

import pytest
import torch
from amaranth.hdl import signed

from hw.spec.params import CoreConfig, CoreParams
from hw.vector.rescale import Rescale, latency, model
from sw.golden.integers import rescale
from tests.unit.hw.vector.drive import beats, run, vectors

#: Signed bits of the longest accumulator that the golden model takes.
GOLDEN_BITS = 46


def cases(bits):
    """Accumulator, multiplier and shift: extremes, ties, saturation, and random ones."""
    rng = random.Random(bits)
    largest = (1 << (bits - 1)) - 1
    made = [
        (sign * accumulator, multiplier, k)
        for sign in (1, -1)
        for accumulator in (0, 1, largest)
        for multiplier in (0, 1, 65535)
        for k in (-64, -24, -23, -22, -1, 0, 1, 2, 23, 39, 40, 61, 62, 63)
    ]
    for k in range(1, bits - 8):  # halves, and what is next to them
        made += [(((2 * rng.randrange(-99, 99) + 1) << (k - 1)) + d, 1, k) for d in (-1, 0, 1)]
    for near in (-(1 << 23), (1 << 23) - 1):  # the last words that fit, before rounding
        made += [((near << 8) + d, 1, 8) for d in (-129, -128, -127, 0, 127, 128, 129, 256)]
    for _ in range(400):
        accumulator = rng.randint(-largest, largest) >> rng.randrange(bits)
        multiplier = rng.randrange(1 << 16)
        size = (accumulator * multiplier).bit_length()
        made.append((accumulator, multiplier, min(size - rng.randrange(27), 63)))
    return made


def test_model_by_hand():
    assert model(3, 1, 1) == 2
    assert model(-3, 1, 1) == -1
    assert model(5, 1, -2) == 20
    assert model(-1, 1, -40) == -8388607
    assert model(1 << 45, 65535, 63) == 0
    assert model(-1, 1, 1000) == 0


def test_model_equals_golden():
    made = cases(GOLDEN_BITS)
    made += [(a, multiplier, k) for a, multiplier, _ in made[::7] for k in (-1000, -99, 99, 1000)]
    golden = rescale(*torch.tensor(made).T)
    assert [model(*case) for case in made] == golden.tolist()


@pytest.mark.parametrize(
    ("inputs", "width", "seed", "k_bits"),
    [(64, 4, 1, 7), (576, 3, None, 7), (11008, 1, None, 25), (64, 2, 1, 8)],
)
def test_rescale(inputs, width, seed, k_bits):
    params = CoreParams(CoreConfig(max_inputs=inputs))
    made = cases(params.accumulator_width)
    farthest = (1 << k_bits - 1) - 1
    made += [(a, b, k) for a, b, _ in made[::9] for k in (farthest, -farthest - 1)]
    made += [(a, b, k % 256 - 128) for k, (a, b, _) in enumerate(made[::5]) if k_bits > 7]
    elements = [dict(zip(("accumulator", "multiplier", "k"), case, strict=True)) for case in made]
    cut = [elements[:7], elements[7:8], elements[8:]]
    sent = [beat for vector in cut for beat in beats(vector, width, filler=elements[0])]
    dut = Rescale(params=params, width=width, k=signed(k_bits))
    transfers = run(dut, {"accumulators": sent}, ["words"], seed=seed)
    expected = [model(*case) for case in made]
    assert vectors(transfers["words"]) == [expected[:7], expected[7:8], expected[8:]]
    assert latency(params) == 8
    early = [cycle + 8 for cycle, _ in transfers["accumulators"]]
    came = [cycle for cycle, _ in transfers["words"]]
    if seed is None:
        assert came == early
    assert all(cycle >= least for cycle, least in zip(came, early, strict=True))


def test_refused():
    with pytest.raises(ValueError, match="at least 1 element a cycle, not 0; choose e.g. 4"):
        Rescale(params=CoreParams(CoreConfig()), width=0)
