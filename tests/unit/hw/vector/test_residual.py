"""The model of the residual against the golden one; the gateware is the drain's."""

import random

import torch

from hw.vector.residual import model
from sw.golden.vector import add_residual

LARGEST = (1 << 23) - 1
GOLDEN_BITS = 46


def cases(bits):
    """Residual, accumulator and shift: sums that saturate or just do not, and random ones."""
    rng = random.Random(bits)
    made = [
        (h, accumulator, k)
        for h in (-LARGEST, -LARGEST + 1, -1, 0, LARGEST - 1, LARGEST)
        for accumulator in (1 - (1 << bits - 1), -3, -1, 0, 1, 2, (1 << bits - 1) - 1)
        for k in (-64, -8, 14, 15, 16, 17, 36, 63)
    ]
    for _ in range(300):
        accumulator = rng.randint(-(1 << bits - 1), 1 << bits - 1) >> rng.randrange(1, bits)
        k = min(15 + accumulator.bit_length() - rng.randrange(26), 63)
        made.append((rng.randint(-LARGEST, LARGEST) >> rng.randrange(24), accumulator, k))
    return made


def test_model_equals_golden():
    h, accumulators, shifts = torch.tensor(cases(GOLDEN_BITS)).T
    # The golden model makes the shift itself, of 15 + 4 - RF + k - r.
    golden = add_residual(h, accumulators, torch.tensor(5), 15 + 4 - 9 + 5 - shifts, fraction=9)
    assert [model(*case) for case in cases(GOLDEN_BITS)] == golden.tolist()
