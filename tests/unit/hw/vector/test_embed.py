# amaranth: UnusedElaboratable=no
"""EMBED against its model, and that against the golden model."""

import random

import pytest
import torch

from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import embed_cycles
from hw.vector.embed import Embed, model
from sw.golden.vector import embed
from tests.unit.hw.vector.machine import TOP, Layout, execute, params

COUNTS = (1, 3, 31, 33, 100)
FRACTION = 14


def rows():
    """Weights, mantissas, exponents: all signs' extremes, every shift that matters, random ones."""
    rng = random.Random(3)
    ends = [-128, 127, -1, 1, 0] * 7
    made = [(ends, [-128, 127], exponent - FRACTION) for exponent in range(-18, 26)]
    made += [([-128, 127, 64], [-128], exponent) for exponent in (-TOP, TOP, -63 - FRACTION, 999)]
    for count in (*COUNTS, 32, 64):
        weights = [rng.randrange(-128, 128) for _ in range(count)]
        mantissas = [rng.randrange(-127, 128) for _ in range(-(-count // 32))]
        made.append((weights, mantissas, rng.randrange(-12, 3)))
    return made


@pytest.mark.parametrize("fraction", [FRACTION, -3, 32767, -32768])
def test_model_is_golden(fraction):
    for weights, mantissas, exponent in rows():
        products = [w * mantissas[j // 32] for j, w in enumerate(weights)]
        golden = embed(torch.tensor(products), torch.tensor(exponent), fraction=fraction)
        assert model(weights, mantissas, exponent, fraction) == golden.tolist()


@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("fraction", [FRACTION, -32768])
def test_embed(width, fraction):
    chosen = random.Random(width).sample(rows(), 15 if fraction < 0 else len(rows()))
    layout, steps = Layout(width), []
    for weights, mantissas, exponent in chosen:
        operands = {"a": layout.add(weights), "b": layout.add(mantissas)}
        operands |= {"c": layout.add([exponent]), "target": layout.add([-5] * len(weights))}
        steps.append(
            (Instruction(Opcode.EMBED, operands | {"constant": fraction}), len(weights)),
        )
    layout.fill()
    words = layout.words
    dut = Embed(params(width=width, words=len(words)))
    done = execute(dut, words, steps, seed=width)
    expected = list(words)
    for (instruction, count), row in zip(steps, chosen, strict=True):
        first = instruction["target"]
        expected[first : first + count] = model(*row, fraction)
    assert done.words == expected
    assert done.cycles == [embed_cycles(count) for _, count in steps]
