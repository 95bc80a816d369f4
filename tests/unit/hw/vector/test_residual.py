"""The residual against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.params import CoreConfig, CoreParams
from hw.vector.residual import LATENCY, Residual, latency, model
from sw.golden.vector import add_residual
from tests.unit.hw.vector.drive import beats, run, vectors

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


@pytest.mark.parametrize(("width", "seed"), [(1, None), (3, 1), (4, None), (4, 2)])
def test_residual(width, seed):
    params = CoreParams(CoreConfig(max_inputs=576))
    made = cases(params.accumulator_width)
    cut = [made[:9], made[9:10], made[10:]]
    sources = {
        "accumulators": [
            beat
            for vector in cut
            for beat in beats(
                [{"accumulator": accumulator, "k": k} for _, accumulator, k in vector],
                width,
                filler={"accumulator": -1, "k": -64},
            )
        ],
        "residual": [
            beat for vector in cut for beat in beats([h for h, _, _ in vector], width, filler=77)
        ],
    }
    dut = Residual(params=params, width=width)
    transfers = run(dut, sources, ["sums"], seed=seed)
    assert vectors(transfers["sums"]) == [[model(*case) for case in vector] for vector in cut]
    cycles = {name: [cycle for cycle, _ in found] for name, found in transfers.items()}
    assert cycles["sums"] == [cycle + LATENCY for cycle in cycles["residual"]]
    assert latency(params) == 10
    least = [cycle + 10 for cycle in cycles["accumulators"]]
    if seed is None:
        assert cycles["sums"] == least
    assert all(cycle >= early for cycle, early in zip(cycles["sums"], least, strict=True))


def test_refused():
    with pytest.raises(ValueError, match="at least 1 element a cycle, not 0; choose e.g. 4"):
        Residual(params=CoreParams(CoreConfig()), width=0)
