"""Scale and codes of a head in the cache against their models, and these against the golden one."""

import random

import pytest
import torch

from hw.vector import cache_code, cache_scale
from hw.vector.cache_code import CacheCode
from hw.vector.cache_scale import CacheScale
from hw.vector.word import LARGEST
from sw.golden.cache import code_heads
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run


def heads():
    """Heads of one word of every size, of zeros, of extremes, and random ones of all sizes."""
    rng = random.Random(3)
    sizes = [[sign * ((1 << n) + d)] for n in range(1, 23) for d in (-1, 0, 1) for sign in (1, -1)]
    # Largest magnitudes about where the mantissa is halved, with and without bits cut off.
    halved = [[n << cut] for n in range(16125, 16140) for cut in (0, 5)]
    extremes = [[0], [0] * 20, [LARGEST, -LARGEST], [0, -LARGEST, 0], [-1, 1, 0], [LARGEST]]
    scattered = []
    for _ in range(80):
        bound = rng.randint(1, LARGEST) >> rng.randrange(23)
        scattered.append([rng.randint(-bound, bound) for _ in range(rng.randrange(1, 33))])
    return sizes + halved + extremes + scattered


def test_models_are_golden():
    for head in heads():
        golden = code_heads(torch.tensor(head))
        scale = cache_scale.model(head)
        assert (scale.mantissa, scale.exponent) == (golden.mantissa, golden.exponent)
        assert cache_code.model(head, scale) == golden.codes.tolist()


def test_models_by_hand():
    assert cache_scale.model([0, 0]) == (64, 0, 0, 0)
    assert cache_scale.model([3, -127]) == (64, -6, 7, 1)
    assert cache_code.model([3, -127], cache_scale.model([3, -127])) == [3, -127]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 8])
def test_scale(width, seed):
    made, dut = heads(), CacheScale(width=width)
    items = [beat for head in made for beat in beats(head, width, filler=LARGEST)]
    seen = run(dut, {"words": items}, ["scale"], seed=seed)
    got = [
        cache_scale.Scale(scale.mantissa, scale.exponent, scale.bits, scale.halved)
        for _, scale in seen["scale"]
    ]
    assert got == [cache_scale.model(head) for head in made]
    expected = [cycle + dut.latency for cycle in last_cycles(seen["words"])]
    assert [cycle for cycle, _ in seen["scale"]] == expected


@pytest.mark.parametrize("seed", [None, 8])
def test_code(seed):
    by_scale = {}
    for head in heads()[seed or 0 :: 7]:
        by_scale.setdefault(cache_scale.model(head), []).extend(head)
    for scale, words in by_scale.items():
        dut = CacheCode()
        constants = [(dut.scale, scale._asdict())]
        seen = run(dut, {"words": words}, ["codes"], constants=constants, seed=seed, settle=9)
        assert [code for _, code in seen["codes"]] == cache_code.model(words, scale)
        expected = [cycle + cache_code.LATENCY for cycle, _ in seen["words"]]
        assert [cycle for cycle, _ in seen["codes"]] == expected
