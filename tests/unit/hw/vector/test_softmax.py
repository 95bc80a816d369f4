# amaranth: UnusedElaboratable=no
"""SOFTMAX against its model, and that against the golden model."""

import random

import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import softmax_cycles
from hw.vector import rescale
from hw.vector.softmax import Softmax, model
from sw.golden import attention, classify
from sw.golden.cache import Coded
from tests.unit.hw.vector.machine import TOP, Layout, execute, inputs_of, params

COUNTS = (1, 3, 31, 33, 100)


def scale(mantissa, exponent):
    """Word of a value's scale."""
    return mantissa + 256 * exponent


#: The greatest score belongs to a value that is far too small, all others are far too improbable.
NO_WEIGHT = ([0, -40 * 256, -40 * 256], [scale(127, -32), scale(64, 31), scale(64, -1)])


def rows(repeats=1):
    """Scores and scales: all equal, one dominates, exponents apart, no weight, random ones."""
    rng = random.Random(5)
    made = [
        ([0], [scale(64, 0)]),
        ([-TOP], [scale(127, -32)]),
        ([TOP], [scale(100, 31)]),
        NO_WEIGHT,
        ([TOP, -TOP, -TOP], [scale(127, 3), scale(64, 31), scale(65, 3)]),
        ([-300] * 33, [scale(90, -6)] * 33),
        ([256 * i for i in range(31)], [scale(64 + i, -i) for i in range(31)]),
        ([-20 * 256] * 7 + [0], [scale(127, 11)] * 7 + [scale(64, -13)]),
    ]
    for count in (*COUNTS, 7, 8, 9) * repeats:
        spread = rng.choice((100, 3000, TOP))
        scores = [rng.randrange(-spread, spread) for _ in range(count)]
        low = rng.randrange(-32, 31)
        high = rng.randrange(low, min(low + 9, 32))
        made.append(
            (scores, [scale(rng.randrange(64, 128), rng.randint(low, high)) for _ in scores])
        )
    return made


@pytest.mark.parametrize("row", rows(repeats=5))
def test_model_is_golden(row, monkeypatch):
    """The codes as they are decoded; gain and shift from a context of one token each."""
    seen = []

    def decode(quotients, lookup):
        seen.append(quotients >> 3)
        return classify.decode(quotients, lookup)

    monkeypatch.setattr(attention, "decode", decode)
    scores, scales = row
    # A shift of all exponents, so that nothing of the context is rounded away or saturates.
    offset = 12 - max(word >> 8 for word in scales)
    made = model(scores, scales)
    lifted = model(scores, [word + 256 * offset for word in scales])
    assert lifted == made._replace(gain_shift=made.gain_shift - offset)
    every = torch.ones(1, len(scores), dtype=torch.bool)
    p = attention.probabilities(torch.tensor(scores)[None], every)
    values = Coded(
        torch.eye(len(scores), dtype=torch.int64)[None],
        torch.tensor([[word & 127 for word in scales]]),
        torch.tensor([[(word >> 8) + offset for word in scales]]),
    )
    golden = attention.context(p[None, None], values, every, table=TABLES["integer"], threshold=0)
    assert seen[0].flatten().tolist() == made.codes
    assert golden.flatten().tolist() == [
        rescale.model(4 * code, made.gain, 25 + lifted.gain_shift) for code in made.codes
    ]


def test_no_weight():
    """A context without weights is 0 by its gain alone."""
    made = model(*NO_WEIGHT)
    assert made.codes == [0, 0, 0] and made.gain == 0
    assert rescale.model(-(1 << 40), made.gain, -100) == 0


@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_softmax(width, seed):
    chosen = rows() if seed == 1 else random.Random(seed).choices(rows(), k=12)
    layout, steps = Layout(width), []
    for scores, scales in chosen:
        operands = {"a": layout.add(scores), "b": layout.add(scales)}
        steps.append((Instruction(Opcode.SOFTMAX, operands), len(scores)))
    layout.fill()
    words = layout.words
    dut = Softmax(params(width=width, words=len(words)))
    port = dut.input
    done = execute(
        dut,
        words,
        steps,
        watch=(port.en, port.address, port.data.as_value()),
        held=(dut.gain, dut.gain_shift),
        seed=seed,
    )
    expected = [model(*row) for row in chosen]
    assert done.held == [(row.gain, row.gain_shift) for row in expected]
    assert done.words == words
    for row, records, cycles in zip(expected, done.traffic, done.cycles, strict=True):
        written = inputs_of(records, width)
        assert written == list(enumerate(row.codes))
        assert all(record == (0, 0, 0) for record in records if not record[0])
        assert records[-2][0] and not records[-1][0]
        assert cycles == softmax_cycles(len(row.codes), width)


def test_cycles():
    assert softmax_cycles(1, 1) == 64
    assert softmax_cycles(1001, 8) == 3 * 126 + 61 + 6
