# amaranth: UnusedElaboratable=no
"""Feeding the encoder against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import feed_cycles
from hw.vector import elements
from hw.vector.feed import WRITTEN, Feed, model
from sw.golden import encoder_vector, integers, vector
from tests.unit.hw.vector.machine import inputs_of
from tests.unit.hw.vector.steps import execute, params

LARGEST = (1 << 23) - 1
LARGEST_GAMMA = (1 << 15) - 1
FEEDS = (Opcode.NORM, Opcode.NORMALIZE, Opcode.GATE, Opcode.GELU)


def operands(opcode, count, rng, *, extreme=None):
    """Words of both operands, all ``extreme`` or random of all sizes."""
    limits = (LARGEST, LARGEST_GAMMA if opcode is Opcode.NORM else LARGEST)
    if extreme is not None:
        return [[extreme * limit] * count for limit in limits]
    return [
        [rng.randint(-limit, limit) >> rng.randrange(24) for _ in range(count)] for limit in limits
    ]


def instruction(opcode, count, rng, *, a=0, b=0, epsilon=None):
    made = {"a": a, "count": count}
    if opcode in (Opcode.NORM, Opcode.GATE):
        made["b"] = b
    if opcode is Opcode.NORM:
        epsilon = epsilon or rng.randrange(1, 1 << rng.randrange(1, 63))
        made |= {
            "multiplier": rng.randrange(1 << 15, 1 << 16),
            "epsilon_low": epsilon & (1 << 32) - 1,
            "epsilon_high": epsilon >> 32,
        }
    return Instruction(opcode, made)


@pytest.mark.parametrize("opcode", FEEDS)
@pytest.mark.parametrize("extreme", [None, 0, 1, -1])
def test_model_is_golden(opcode, extreme):
    rng = random.Random(f"{opcode}{extreme}")
    a, b = operands(opcode, 37, rng, extreme=extreme)
    step = instruction(opcode, 37, rng, epsilon=1 << 40)
    fed = model(step, a, b)
    h, other = torch.tensor(a), torch.tensor(b)
    if opcode is Opcode.NORM:
        root = vector.Scaled(step["multiplier"], 0)
        norm = vector.Norm(gamma=other, gamma_fraction=0, epsilon=1 << 40, root=root)
        x, n, multiplier, u = norm(h)
        assert (fed.multiplier, fed.exponent) == (multiplier.item(), u.item())
    else:
        made = {Opcode.NORMALIZE: h, Opcode.GATE: vector.gate(h, other)}
        x, n = integers.normalize(made.get(opcode, encoder_vector.gelu(h)))
        assert (fed.multiplier, fed.exponent) == (None, None)
    assert (fed.inputs, fed.shift) == (x.tolist(), n.item())


def run(width, cases, *, seed):
    """Execute (opcode, count, extreme) one after the other; compare all that comes out."""
    rng = random.Random(seed)
    words, steps, fed = [rng.randint(-LARGEST, LARGEST) for _ in range(16)], [], []
    for opcode, count, extreme in cases:
        pair = operands(opcode, count, rng, extreme=extreme)
        places = []
        for operand in pair:
            places.append(len(words))
            words += operand + [LARGEST] * (-count % 8)
        step = instruction(opcode, count, rng, a=places[0], b=places[1])
        steps.append(step)
        fed.append(model(step, *pair))
    dut, written, ends = Feed(params(width, encoder=True)), [], []

    async def watch(ctx):
        port, cycle, scalars = dut.input, 0, (dut.shift, dut.multiplier, dut.exponent)
        sampled = (port.en, port.address, port.data.as_value(), dut.done, *scalars)
        async for _, _, en, address, value, done, *values in ctx.tick().sample(*sampled):
            assert en or not (address or value)
            for place, element in inputs_of([(en, address, value)], width):
                written.append((cycle, place, element))
            if done:
                ends.append((cycle, *values))
            cycle += 1

    taken = execute(dut, steps, words, benches=[watch], pauses=(0, 3))
    scale = 0, 0
    for step, vector_fed, end in zip(steps, fed, ends, strict=True):
        mine, written = written[: step["count"]], written[step["count"] :]
        assert [address for _, address, _ in mine] == list(range(step["count"]))
        assert [value for _, _, value in mine] == vector_fed.inputs
        if step.opcode is Opcode.NORM:
            scale = vector_fed.multiplier, vector_fed.exponent
        assert end[1:] == (vector_fed.shift, *scale)
        assert end[0] - mine[-1][0] >= WRITTEN
    assert not written
    expected = [feed_cycles(step.opcode, step["count"], width) for step in steps]
    assert taken == expected


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("opcode", FEEDS)
def test_lengths(width, opcode):
    """Counts around those of beats, twice in a row."""
    run(width, [(opcode, count, None) for count in (33, 1, 7, 8, 9, 21, 21)], seed=width)


@pytest.mark.parametrize("width", [1, 4, 8])
def test_any_order(width):
    rng = random.Random(width)
    cases = [(opcode, rng.randrange(1, 30), None) for opcode in 2 * FEEDS]
    run(width, rng.sample(cases, len(cases)), seed=width + 40)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("opcode", FEEDS)
def test_extremes(width, opcode):
    cases = [(opcode, 13, extreme) for extreme in (1, 0, -1)]
    run(width, cases, seed=3)


def test_refused():
    with pytest.raises(
        ValueError, match="opcode must be NORM, NORMALIZE, GATE or GELU, not <Opcode.END"
    ):
        elements.model(Opcode.END, [], [])
