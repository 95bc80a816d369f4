"""ROTATE against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import rotate_cycles
from hw.vector import rotate
from hw.vector.rotate import Rotate
from hw.vector.word import LARGEST
from sw.golden import vector
from tests.unit.hw.vector.steps import execute, params

WORDS = 1024


def memory(seed):
    """Words of all sizes with 256 turns at their end, which are 16-bit values."""
    rng = random.Random(seed)
    words = [
        rng.choice((-1, 1)) * (rng.randint(0, LARGEST) >> rng.randrange(24)) for _ in range(WORDS)
    ]
    words[5:9] = [LARGEST, -LARGEST, -LARGEST, LARGEST]
    words[-256:] = [rng.randint(-32768, 32767) for _ in range(256)]
    words[-200:-196] = [32767, -32768, -32768, 32767]
    return words


def instruction(*, a, b, c, heads, inner, interleaved):
    operands = {"a": a, "b": b, "c": c, "count": heads, "inner": inner}
    return Instruction(Opcode.ROTATE, operands | {"interleaved": int(interleaved)})


#: Any word address; a pair alone; heads one behind the other; tables of odd places.
CASES = [
    {"a": 8, "b": 800, "c": 824, "heads": 2, "inner": 16},
    {"a": 3, "b": 833, "c": 823, "heads": 3, "inner": 10},
    {"a": 41, "b": 770, "c": 817, "heads": 1, "inner": 32},
    {"a": 700, "b": 999, "c": 1023, "heads": 1, "inner": 1},
    {"a": 5, "b": 825, "c": 824, "heads": 5, "inner": 3},
    {"a": 16, "b": 800, "c": 840, "heads": 1, "inner": 8},
    {"a": 96, "b": 832, "c": 864, "heads": 5, "inner": 24},
    {"a": 48, "b": 992, "c": 800, "heads": 7, "inner": 8},
    {"a": 48, "b": 992, "c": 804, "heads": 3, "inner": 12},
    {"a": 48, "b": 992, "c": 802, "heads": 3, "inner": 2},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interleaved", [False, True])
def test_model_is_golden(case, interleaved):
    words = memory(1)
    a, b, c, heads, inner = case.values()
    y = torch.tensor(words[a : a + heads * 2 * inner]).view(1, heads, 2 * inner)
    table = torch.tensor([words[c : c + inner], words[b : b + inner]]).T[None]
    golden = vector.rotate(y, table, interleaved=interleaved).flatten().tolist()
    expected = words[:a] + golden + words[a + len(golden) :]
    assert rotate.model(words, instruction(**case, interleaved=interleaved)) == expected


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("interleaved", [False, True])
def test_rotate(width, interleaved):
    """All cases one after the other, each once more with the other order of pairs."""
    words = memory(width)
    instructions = [
        instruction(**case, interleaved=order)
        for case in CASES
        for order in (interleaved, not interleaved)
    ]
    expected = words
    for each in instructions:
        expected = rotate.model(expected, each)
    taken = execute(Rotate(params(width, WORDS)), instructions, words, pauses=(0, 1, 7))
    assert words == expected
    assert taken == [cycles(each, width) for each in instructions]


def cycles(step, width):
    """Cycles of an instruction: by beats only where all operands consist of such."""
    aligned = not any(step[name] % width for name in ("a", "b", "c"))
    return rotate_cycles(step["count"], step["inner"], width if aligned else 1)


def test_cycles():
    assert rotate_cycles(3, 32, 1) == 2 * 3 * 32 + 15
    assert rotate_cycles(3, 32, 8) == 2 * 3 * 4 + 15
    assert rotate_cycles(3, 12, 8) == 2 * 3 * 12 + 15
