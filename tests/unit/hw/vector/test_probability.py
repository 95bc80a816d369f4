# amaranth: UnusedElaboratable=no
"""Weights and their codes against the models, and these against the golden model."""

import random

import pytest
import torch

from hw.spec.codes import TABLES
from hw.vector import probability, weight
from hw.vector.probability import Probability
from hw.vector.weight import Weight
from sw.golden import attention, classify
from sw.golden.cache import Coded
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run, vectors

TOP_EXPONENT = 11
LARGEST_WEIGHT = 65535 * 127


def rows():
    """Probabilities, mantissas and exponents; every row has an exponent 11, the largest."""
    rng = random.Random(9)
    made = [
        [(0, 64, 11)],
        [(0, 64, 11)] * 9,
        [(65535, 127, 11)] * 5,
        [(65535, 127, -32), (1, 64, 11), (65535, 127, 11)],
        [(1, 64, 11)],
        [(0, 64, 11), (65535, 127, -21), (32768, 65, -12)],
        [(65535, 127, 11 - distance) for distance in range(44)],
    ]
    for _ in range(40):
        bits = rng.randrange(1, 17)
        row = [
            (
                rng.getrandbits(bits),
                rng.randrange(64, 128),
                11 - rng.randrange(1, 1 + rng.choice((1, 4, 25))),
            )
            for _ in range(rng.randrange(1, 20))
        ]
        row[rng.randrange(len(row))] = (rng.getrandbits(bits), rng.randrange(64, 128), 11)
        made.append(row)
    return made


def weighted():
    """Rows of weights: those above, every size of the largest, ties of the rounding."""
    rng = random.Random(2)
    made = [weight.model(*zip(*row, strict=True))[0] for row in rows()]
    made += [[1 << n, (1 << n) - 1, 0, 1 << n >> 1] for n in range(23)]
    made += [[LARGEST_WEIGHT - d, *(rng.randrange(1 << 22) for _ in range(8))] for d in range(5)]
    made += [[1 << 15, *range(1, 32768, 971)], [255 << 8, *(code << 7 for code in range(1, 510))]]
    return made


def test_weight_model_is_golden():
    for row in rows():
        p, mantissas, exponents = map(torch.tensor, zip(*row, strict=True))
        distances = attention._distances(exponents.max()[None, None, None], exponents[None])
        golden = ((p * mantissas) >> distances).flatten().tolist()
        assert weight.model(*zip(*row, strict=True)) == (golden, max(golden))


@pytest.mark.parametrize("row", [row for row in rows() if any(p for p, _, _ in row)])
def test_model_is_golden(row, monkeypatch):
    """The codes as they are decoded; their scale from a context of one token each."""
    seen = []

    def decode(quotients, lookup):
        seen.append(quotients >> 3)
        return classify.decode(quotients, lookup)

    monkeypatch.setattr(attention, "decode", decode)
    weights, _ = weight.model(*zip(*row, strict=True))
    codes, mantissa, j = probability.model(weights)
    p, mantissas, exponents = map(torch.tensor, zip(*row, strict=True))
    # As great as words can be, so that nothing of the scale is rounded away.
    values = Coded(torch.eye(len(row))[None], mantissas[None], exponents[None] + 5)
    golden = attention.context(
        p[None, None, None],
        values,
        torch.ones(1, len(row), dtype=torch.bool),
        table=TABLES["integer"],
        threshold=0,
    )
    assert seen[0].flatten().tolist() == codes
    z = p.sum().item()
    assert golden.flatten().tolist() == [
        _context(4 * code, mantissa, j, z, TOP_EXPONENT + 5) if any(weights) else 0
        for code in codes
    ]


def _context(accumulator, mantissa, j, z, ev):
    """§9, from the codes and the scale of the largest weight."""
    jz = z.bit_length() - 16
    zn = z << -jz if jz < 0 else z >> jz
    gain = min(mantissa * min((1 << 39) // (255 * zn), 65535) + (1 << 15) >> 16, 65535)
    k = 25 + jz - j - ev
    shifted = accumulator * gain
    shifted = shifted + (1 << k - 1) >> k if k > 0 else shifted << -k
    return min(shifted, (1 << 23) - 1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 4])
def test_weight(width, seed):
    names = ("probability", "mantissa", "exponent")
    items = [
        beat
        for row in rows()
        for beat in beats(
            [dict(zip(names, element, strict=True)) for element in row],
            width,
            filler={"probability": 65535, "mantissa": 127, "exponent": TOP_EXPONENT},
        )
    ]
    dut = Weight(width=width)
    seen = run(
        dut,
        {"probabilities": items},
        ["weights", "largest"],
        constants=[(dut.largest_exponent, TOP_EXPONENT)],
        seed=seed,
    )
    expected = [weight.model(*zip(*row, strict=True)) for row in rows()]
    assert vectors(seen["weights"]) == [weights for weights, _ in expected]
    assert [w for _, w in seen["largest"]] == [w for _, w in expected]
    arrivals = [cycle for cycle, _ in seen["weights"]]
    assert arrivals == [cycle + weight.LATENCY for cycle, _ in seen["probabilities"]]
    ends = [cycle + dut.latency for cycle in last_cycles(seen["probabilities"])]
    assert [cycle for cycle, _ in seen["largest"]] == ends


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 4])
def test_probability(width, seed):
    made = weighted()
    dut = Probability(width=width)
    seen = run(
        dut,
        {
            "largest": [max(weights) for weights in made],
            "weights": [beat for row in made for beat in beats(row, width, filler=(1 << 23) - 1)],
        },
        ["codes", "scale"],
        seed=seed,
    )
    expected = [probability.model(weights) for weights in made]
    assert vectors(seen["codes"]) == [codes for codes, _, _ in expected]
    scales = [(scale.mantissa, scale.exponent) for _, scale in seen["scale"]]
    assert scales == [(mantissa, j) for _, mantissa, j in expected]
    found = [cycle + probability.SCALE_LATENCY for cycle, _ in seen["largest"]]
    assert [cycle for cycle, _ in seen["scale"]] == found
    arrivals = [cycle for cycle, _ in seen["codes"]]
    assert arrivals == [cycle + probability.LATENCY for cycle, _ in seen["weights"]]
    if seed is None:
        ends = last_cycles(seen["weights"])
        firsts = [cycle + dut.latency for cycle, _ in seen["largest"]]
        sizes = [-(-len(weights) // width) for weights in made]
        assert [end - size + 1 for end, size in zip(ends, sizes, strict=True)] == firsts
        assert [cycle for cycle, _ in seen["largest"]] == [0, *(end + 1 for end in ends[:-1])]


def test_parameters():
    for component in (Weight, Probability):
        with pytest.raises(ValueError, match="width must be at least 1 element a cycle, not 0; ch"):
            component(width=0)
