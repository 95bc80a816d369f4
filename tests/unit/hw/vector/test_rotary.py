"""The rotary embedding against its model, and the model against the golden one."""

import math
import random

import pytest
import torch

from hw.vector.rotary import LATENCY, Rotary, model
from sw.golden.vector import rotate
from tests.unit.hw.vector.drive import WIDTHS, beats, run, vectors

LARGEST = (1 << 23) - 1
ONE = 1 << 14


def cases():
    """Pairs and turns: quarters, ties, what saturates or just does not, and random angles."""
    rng = random.Random(7)
    ends = (-LARGEST, 0, LARGEST)
    turns = [(ONE, 0), (0, ONE), (-ONE, 0), (0, -ONE), (11585, 11585), (11585, -11585)]
    turns += [(-32768, -32768), (-32768, 32767)]  # no rotation, but nothing may break
    made = [(a, b, *turn) for a in ends for b in ends for turn in turns]
    made += [(a, b, ONE // 2, 0) for a in (-3, -2, -1, 1, 2, 3) for b in (-1, 1)]
    made += [(LARGEST + d, -1, ONE, e) for d in (-1, 0) for e in (ONE // 2 - 1, ONE // 2)]
    for _ in range(201):
        angle = rng.uniform(-math.pi, math.pi)
        turn = round(ONE * math.cos(angle)), round(ONE * math.sin(angle))
        made.append((*(rng.randint(-LARGEST, LARGEST) >> rng.randrange(24) for _ in "ab"), *turn))
    return made


def test_model_by_hand():
    assert model(5, -7, 0, ONE) == (7, 5)
    assert model(1, -1, ONE // 2, 0) == (1, 0)
    assert model(LARGEST, -LARGEST, 11585, 11585) == (LARGEST, 0)


@pytest.mark.parametrize("interleaved", [False, True])
def test_model_equals_golden(interleaved):
    made = torch.tensor(cases())
    heads = made[:, :2].reshape(1, 1, -1) if interleaved else made[:, :2].T.reshape(1, 1, -1)
    turned = rotate(heads, made[None, :, 2:], interleaved=interleaved)[0, 0]
    golden = turned.view(-1, 2) if interleaved else turned.view(2, -1).T
    assert [list(model(*case)) for case in cases()] == golden.tolist()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 4], ids=["dense", "idle"])
def test_rotary(width, seed):
    made = cases()
    cut = (made[:5], made[5:6], made[6:])
    pairs = [[{"a": a, "b": b} for a, b, _, _ in vector] for vector in cut]
    turns = [[{"cosine": c, "sine": s} for _, _, c, s in vector] for vector in cut]
    sources = {
        "pairs": [beat for v in pairs for beat in beats(v, width, filler={"a": 1, "b": 1})],
        "turns": [beat for v in turns for beat in beats(v, width, filler={"cosine": 1, "sine": 1})],
    }
    transfers = run(Rotary(width=width), sources, ["turned"], seed=seed)
    turned = [[(pair.a, pair.b) for pair in vector] for vector in vectors(transfers["turned"])]
    assert turned == [[model(*case) for case in vector] for vector in cut]
    taken = [cycle for cycle, _ in transfers["pairs"]]
    assert taken == [cycle for cycle, _ in transfers["turns"]]
    assert [cycle for cycle, _ in transfers["turned"]] == [cycle + LATENCY for cycle in taken]
    assert LATENCY == 5


def test_refused():
    with pytest.raises(ValueError, match="at least 1 element a cycle, not 0; choose e.g. 4"):
        Rotary(width=0)
