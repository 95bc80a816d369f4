"""The best logits against their model, and the model against the golden choice."""

import random

import pytest
import torch
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.spec.params import CoreConfig, CoreParams
from hw.vector.best import NOTHING, Best, model
from hw.vector.rescale import Rescale
from tests.unit.hw.vector.drive import WIDTHS, beats, run

LARGEST = (1 << 23) - 1
VOCABULARY = 203


def vectors_of_logits(count):
    """Rising, falling and equal logits, extremes, few different ones, and random ones."""
    rng = random.Random(count)
    made = [
        list(range(-18, 18)),
        list(range(20, -21, -1)),
        [-LARGEST] * 11,
        [LARGEST] * 9,
        [-LARGEST] * 12 + [LARGEST, -LARGEST, LARGEST, LARGEST - 1],
        [5] * count,
        [0, 1] * 20,
        [rng.randint(-LARGEST, LARGEST) for _ in range(VOCABULARY)],
    ]
    for _ in range(6):
        length = rng.randint(count, VOCABULARY)
        made.append([rng.randint(-3, 3) for _ in range(length)])
    return made


def test_model_by_hand():
    assert model([3, -1, 7, 7], 1) == [(2, 7)]
    assert model([3, -1, 7, 7, 3], 4) == [(2, 7), (3, 7), (0, 3), (4, 3)]


def test_model_equals_golden():
    for logits in vectors_of_logits(8):
        order = torch.tensor(logits).sort(descending=True, stable=True).indices
        assert [i for i, _ in model(logits, 8)] == order[:8].tolist()
        assert model(logits, 1)[0][0] == int(torch.tensor(logits).argmax())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("seed", [None, 5], ids=["dense", "idle"])
def test_best(width, count, seed):
    made = vectors_of_logits(count)
    sent = [beat for logits in made for beat in beats(logits, width, filler=LARGEST)]
    dut = Best(vocabulary=VOCABULARY, count=count, width=width)
    transfers = run(dut, {"logits": sent}, ["best"], seed=seed)
    got = [[(best[i].id, best[i].logit) for i in range(count)] for _, best in transfers["best"]]
    assert got == [model(logits, count) for logits in made]
    if seed is None:
        ends = [cycle for cycle, beat in transfers["logits"] if beat.last]
        late = [cycle - end for (cycle, _), end in zip(transfers["best"], ends, strict=True)]
        assert set(late) <= set(range(1, width + 3))
        assert width + 2 in late  # all of the last beat above the least


def test_a_beat_a_cycle():
    """Only the first beat takes longer, one cycle for each of its logits."""
    sent = beats(list(range(150, 0, -1)), 4, filler=LARGEST)
    transfers = run(Best(vocabulary=150), {"logits": sent}, ["best"])
    assert [c for c, _ in transfers["logits"]] == [0, *range(4, 4 + len(sent) - 1)]
    ((cycle, best),) = transfers["best"]
    assert (best[0].id, best[0].logit, cycle) == (0, 150, 4 + len(sent) - 1)


def test_fewer_logits_than_places():
    dut = Best(vocabulary=9, count=3)
    transfers = run(dut, {"logits": beats([-LARGEST, 6], 4, filler=LARGEST)}, ["best"])
    ((_, best),) = transfers["best"]
    assert [best[i].logit for i in range(3)] == [6, -LARGEST, NOTHING]


class Head(wiring.Component):
    """Rescaling of accumulators to logits, and the choice among them."""

    def __init__(self):
        self.rescale = Rescale(params=CoreParams(CoreConfig()), width=3)
        self.choice = Best(vocabulary=VOCABULARY, count=2, width=3)
        super().__init__(
            {
                "accumulators": In(self.rescale.accumulators.signature.flip()),
                "best": Out(self.choice.best.signature),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.rescale, m.submodules.choice = self.rescale, self.choice
        wiring.connect(m, wiring.flipped(self.accumulators), self.rescale.accumulators)
        wiring.connect(m, self.rescale.words, self.choice.logits)
        wiring.connect(m, self.choice.best, wiring.flipped(self.best))
        return m


@pytest.mark.parametrize("seed", [None, 6], ids=["dense", "idle"])
def test_behind_rescale(seed):
    """Rescaled logits wait while those of a beat before them are sorted in."""
    rng = random.Random(6)
    logits = [rng.randint(-99, 99) for _ in range(VOCABULARY)]
    elements = [{"accumulator": 4 * logit, "multiplier": 2, "k": 3} for logit in logits]
    transfers = run(
        Head(), {"accumulators": beats(elements, 3, filler=elements[0])}, ["best"], seed=seed
    )
    ((_, best),) = transfers["best"]
    assert [(best[i].id, best[i].logit) for i in range(2)] == model(logits, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "at least 1 element a cycle, not 0; choose e.g. 4"),
        ({"count": 0}, "count must be 1..8 logits, not 0; let the host choose among more"),
        ({"count": 9}, "count must be 1..8 logits, not 9"),
        ({"vocabulary": 1}, "vocabulary must be at least 2 logits, not 1"),
    ],
)
def test_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Best(**{"vocabulary": VOCABULARY, **wrong})
