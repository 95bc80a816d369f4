"""The gate against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.vector.gate import LATENCY, Gate, model
from sw.golden.vector import gate
from tests.unit.hw.vector.drive import WIDTHS, beats, run, vectors

LARGEST = (1 << 23) - 1


def cases():
    """Gates around every end of the table, ties of the rounding, and all sizes of both."""
    rng = random.Random(10)
    edges = (-LARGEST, -32769, -32768, -32767, -65, -64, -1, 0, 1, 63, 64, 32767, 32768, LARGEST)
    made = [(g, u) for g in edges for u in (-LARGEST, -1, 0, 1, LARGEST)]
    made += [(64 * step + rng.randrange(64), 1) for step in range(-512, 512, 5)]
    made += [(1 << bits, -1) for bits in range(15)]
    for _ in range(200):
        made.append(tuple(rng.randint(-LARGEST, LARGEST) >> rng.randrange(24) for _ in "gu"))
    return made


def test_model_by_hand():
    assert model(0, 4096) == 0
    assert model(LARGEST, -LARGEST) == -LARGEST * LARGEST
    assert model(-32769, LARGEST) == 0
    assert model(4096, 4096) == 3001 * 4096  # sigma is 24006: 3000.75


def test_model_equals_golden():
    made = cases()
    assert [model(*case) for case in made] == gate(*torch.tensor(made).T).tolist()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 3], ids=["dense", "idle"])
def test_gate(width, seed):
    made = cases()
    elements = [{"gate": g, "up": u} for g, u in made]
    sent = [
        beat
        for vector in (elements[:10], elements[10:11], elements[11:])
        for beat in beats(vector, width, filler={"gate": LARGEST, "up": LARGEST})
    ]
    transfers = run(Gate(width=width), {"pairs": sent}, ["gated"], seed=seed)
    expected = [model(*case) for case in made]
    assert vectors(transfers["gated"]) == [expected[:10], expected[10:11], expected[11:]]
    taken = [cycle for cycle, _ in transfers["pairs"]]
    assert [cycle for cycle, _ in transfers["gated"]] == [cycle + LATENCY for cycle in taken]
    assert LATENCY == 8


def test_refused():
    with pytest.raises(ValueError, match="at least 1 element a cycle, not 0; choose e.g. 4"):
        Gate(width=0)
