# amaranth: UnusedElaboratable=no
"""Draining a matrix against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.program import Drain as Kind
from hw.spec.program import Instruction, Opcode
from hw.vector import best
from hw.vector.drain import Drain, latency, model
from hw.vector.drain_shift import Scalars
from sw.golden import integers, vector
from tests.unit.hw.vector.steps import execute, params

LARGEST = (1 << 23) - 1
BITS = 44
WORDS = 512


def scalars(rng):
    return Scalars(
        shift=rng.randint(-14, 32),
        multiplier=rng.randrange(1 << 15, 1 << 16),
        exponent=rng.randint(-32, 31),
        base=rng.randrange(16),
        gain=rng.randrange(1 << 16),
        gain_shift=rng.randint(-64, 63),
    )


def matrix(kind, count, rng, *, a=0, b=0, target=0, final=0):
    """Instruction, scalars, accumulators and words of b: results of all sizes, and far beyond."""
    mine = scalars(rng)
    operands = {"drain": int(kind), "count": count, "constant": rng.randint(-(1 << 15), 32767)}
    operands |= {"a": a} if kind is Kind.RESIDUAL else {}
    operands |= {"b": b} if kind is not Kind.CONTEXT else {"constant": rng.randint(-20, 60)}
    operands |= {"target": target} if kind is not Kind.LOGITS else {"final": final}
    operands |= {"multiplier": rng.randrange(1 << 15, 1 << 16)} if kind is Kind.SCORES else {}
    if kind is Kind.SCORES:
        operands["constant"] = rng.randint(-40, 90)
    step = Instruction(Opcode.MATVEC, operands)

    common = step["constant"] - mine.shift - mine.base
    common += mine.exponent if kind in (Kind.NORMED, Kind.LOGITS) else 0
    accumulators, words = [], []
    for _ in range(count):
        accumulator = rng.randint(-(1 << BITS - 1) + 1, (1 << BITS - 1) - 1) >> rng.randrange(BITS)
        k = accumulator.bit_length() + 16 - rng.randrange(28)
        exponent = rng.choice([common - k] * 6 + [-LARGEST, LARGEST])
        if kind is Kind.SCORES:
            exponent = max(min(common - k, 127), -128)
            exponent = exponent << 8 | rng.randrange(1 << 8)
        accumulators.append(accumulator)
        words.append(max(min(exponent, LARGEST), -LARGEST))
    return step, mine, accumulators, words


@pytest.mark.parametrize("kind", Kind)
def test_model_is_golden(kind):
    rng = random.Random(kind)
    step, mine, accumulators, b = matrix(kind, 301, rng)
    a = [rng.randint(-LARGEST, LARGEST) for _ in b]
    acc, h, r = torch.tensor(accumulators), torch.tensor(a), torch.tensor(b)
    constant, n, base = step["constant"], torch.tensor(mine.shift), torch.tensor(mine.base)
    match kind:
        case Kind.NORMED | Kind.LOGITS:
            norm = vector.Norm(
                gamma=acc, gamma_fraction=9, epsilon=1, root=vector.Scaled(1, 15 + 4 + 9 - constant)
            )
            multiplier, u = torch.tensor(mine.multiplier), torch.tensor(mine.exponent)
            golden = norm.rescale(acc, vector.Normed(acc, n, multiplier, u), r, base, 0)
        case Kind.RESIDUAL:
            golden = vector.add_residual(h, acc, -base - n, r, fraction=15 + 4 - constant)
        case Kind.SCORES:
            golden = integers.rescale(acc, step["multiplier"], constant - n - base - (r >> 8))
        case Kind.CONTEXT:
            golden = integers.rescale(acc, mine.gain, constant + mine.gain_shift)
    assert model(step, mine, accumulators, a, b) == golden.tolist()


def run(width, cases, *, seed, pausing, take=True):
    """Execute (kind, count, final) one after the other; compare all that comes out."""
    rng, dut = random.Random(seed), Drain(params(width, WORDS))
    words = [rng.randint(-LARGEST, LARGEST) >> rng.randrange(24) for _ in range(WORDS)]
    expected, logits, chosen, found = list(words), [], [], []
    made = []
    for kind, count, final in cases:
        a, b, target = (first + width * rng.randrange(5) for first in (0, 128, 256))
        target = rng.choice([a, target]) if kind is Kind.RESIDUAL else target
        made.append(matrix(kind, count, rng, a=a, b=b, target=target, final=final))

    def prepare(step, mine, accumulators, b):
        """Load b, and expect what the instruction does."""
        if step["drain"] != Kind.CONTEXT:
            for place in (words, expected):
                place[step["b"] : step["b"] + len(b)] = b
        a = expected[step["a"] : step["a"] + len(b)]
        results = model(step, mine, accumulators, a, b)
        if step["drain"] != Kind.LOGITS:
            expected[step["target"] : step["target"] + len(b)] = results
            return
        logits.extend(results)
        if step["final"]:
            kept = best.model(logits, dut.params.best)
            chosen.append(kept + [(0, best.NOTHING)] * (dut.params.best - len(kept)))
            logits.clear()

    async def feed(ctx):
        """Offer accumulators, even more than are due; take or clear what is chosen in the end."""
        port = dut.accumulators
        for step, mine, accumulators, b in made:
            prepare(step, mine, accumulators, b)
            ctx.set(dut.base, 15 - mine.base)
            for accumulator in accumulators:
                while pausing and rng.random() < 0.4:
                    await ctx.tick()
                ctx.set(dut.base, mine.base)
                ctx.set(port.payload, accumulator)
                ctx.set(port.valid, 1)
                await ctx.tick().until(port.ready)
                ctx.set(port.valid, 0)
            ctx.set(port.payload, -1)
            ctx.set(port.valid, 1)
            while not ctx.get(dut.done):
                assert not ctx.get(port.ready)
                await ctx.tick()
            ctx.set(port.valid, 0)
            assert ctx.get(dut.best.valid) == step["final"]
            end = dut.best.ready if take else dut.clear
            if step["final"]:
                kept = ctx.get(dut.best.payload)
                found.append([(kept[i].id, kept[i].logit) for i in range(dut.params.best)])
                ctx.set(end, 1)
            await ctx.tick()
            ctx.set(end, 0)

    steps = [step for step, *_ in made]
    ports = [
        {name: v for name, v in mine._asdict().items() if name != "base"} for _, mine, *_ in made
    ]
    taken = execute(dut, steps, words, ports=ports, benches=[feed], pauses=(0, 3))
    assert words == expected
    assert found == chosen
    if not pausing:
        assert taken == [step["count"] + latency(dut.params) + 1 for step in steps]


@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("pausing", [False, True], ids=["dense", "idle"])
def test_kinds(width, kind, pausing):
    final = int(kind is Kind.LOGITS)
    cases = [(kind, count, final) for count in (29, 1, 7, 8, 9, 30)]
    run(width, cases, seed=f"{width}{kind}", pausing=pausing)


@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize("pausing", [False, True], ids=["dense", "idle"])
def test_any_order(width, pausing):
    rng = random.Random(width)
    cases = [(kind, rng.randrange(1, 40), 0) for kind in 2 * list(Kind)]
    run(width, rng.sample(cases, len(cases)), seed=width, pausing=pausing)


@pytest.mark.parametrize("take", [True, False], ids=["taken", "cleared"])
def test_ids_go_on(take):
    """The logits of several instructions are one vocabulary, until they are taken or cleared."""
    cases = [(Kind.LOGITS, 33, 0), (Kind.NORMED, 5, 0), (Kind.LOGITS, 1, 0), (Kind.LOGITS, 21, 1)]
    run(4, cases + [(Kind.LOGITS, 40, 1)], seed=9, pausing=False, take=take)


def test_waits_until_best_is_taken():
    """Logits come from a program whose predecessor's are still kept."""
    rng, dut = random.Random(2), Drain(params(4, WORDS))
    step, mine, accumulators, words = matrix(Kind.LOGITS, 3, rng, final=1)
    ports = [{name: value for name, value in mine._asdict().items()}] * 2
    offered = []

    async def feed(ctx):
        for accumulator in 2 * accumulators:
            ctx.set(dut.accumulators.payload, accumulator)
            ctx.set(dut.accumulators.valid, 1)
            await ctx.tick().until(dut.accumulators.ready)
            offered.append(accumulator)
        ctx.set(dut.accumulators.valid, 0)

    async def take(ctx):
        await ctx.tick().until(dut.done)
        await ctx.tick().repeat(50)
        assert len(offered) == 3
        ctx.set(dut.best.ready, 1)

    memory = words + [0] * (WORDS - len(words))
    taken = execute(dut, [step, step], memory, ports=ports, benches=[feed, take])
    least = 3 + latency(dut.params) + 1
    assert taken[0] == least and taken[1] > least + 40
