# amaranth: UnusedElaboratable=no
"""Draining a matrix against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.program import Drain as Kind
from hw.spec.program import Instruction, Opcode
from hw.vector import best
from hw.vector.drain import ADDING, Drain, latency, model
from hw.vector.scalars import Scalars
from sw.golden import encoder_vector, integers, vector
from tests.unit.hw.vector.steps import execute, params

LARGEST = (1 << 23) - 1
BITS = 44
WORDS = 1024
BATCH = 5

#: Outputs of a tile.
TILE = 8


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
    operands |= {"a": a} if kind in ADDING else {}
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
        case Kind.BIASED:
            golden = encoder_vector.add_bias(h, acc, -base - n, r, fraction=15 + 4 - constant)
        case Kind.SCORES:
            golden = integers.rescale(acc, step["multiplier"], constant - n - base - (r >> 8))
        case Kind.CONTEXT:
            golden = integers.rescale(acc, mine.gain, constant + mine.gain_shift)
    assert model(step, mine, accumulators, a, b) == golden.tolist()


def several(rng, made, vectors, *, stride):
    """The same matrix for several vectors: scalars near the first one's, other accumulators."""
    step, mine, accumulators, b = made
    first = rng.randrange(BATCH - vectors + 1)
    operands = step.operands | {"vector": first, "vectors": vectors}
    if step["drain"] != Kind.LOGITS:
        operands["stride"] = stride
    results = [(mine, accumulators)]
    for _ in range(vectors - 1):
        other = scalars(rng)
        near = max(min(mine.shift + rng.randint(-3, 3), 32), -14)
        others = rng.sample([-accumulator for accumulator in accumulators], len(accumulators))
        results.append((other._replace(shift=near), others))
    return Instruction(Opcode.MATVEC, operands), results, b


def in_order(results, tile):
    """Yield outputs as the reader hands them on: vector, accumulator, flags."""
    count = len(results[0][1])
    for first in range(0, count, tile):
        for number, (_, accumulators) in enumerate(results):
            segment = range(first, min(first + tile, count))
            for i in segment:
                ends, final = i == segment[-1], number == len(results) - 1
                flags = {"ends_segment": ends, "ends_tile": ends and final}
                yield number, accumulators[i], flags | {"last": final and i == count - 1}


def run(width, cases, *, seed, pausing, take=True, batch=BATCH):
    """Execute (kind, count, final, vectors) one after the other; compare all that comes out."""
    rng, dut = random.Random(seed), Drain(params(width, WORDS, batch))
    words = [rng.randint(-LARGEST, LARGEST) >> rng.randrange(24) for _ in range(WORDS)]
    expected, logits, chosen, found = list(words), [], [], []
    made = []
    for kind, count, final, vectors in cases:
        a, b, target = (first + width * rng.randrange(5) for first in (0, 640, 720))
        target = rng.choice([a, target]) if kind is Kind.RESIDUAL else target
        case = matrix(kind, count, rng, a=a, b=b, target=target, final=final)
        made.append(several(rng, case, vectors, stride=count + width * rng.randrange(3)))
    current = {}

    def prepare(step, results, b):
        """Load b, and expect what the instruction does."""
        if step["drain"] != Kind.CONTEXT:
            for place in (words, expected):
                place[step["b"] : step["b"] + len(b)] = b
        for number, (mine, accumulators) in enumerate(results):
            beyond = number * step["stride"]
            of_vector = beyond if step["drain"] == Kind.RESIDUAL else 0
            a = expected[step["a"] + of_vector :][: len(b)]
            drained = model(step, mine, accumulators, a, b)
            if step["drain"] == Kind.LOGITS:
                logits.extend(drained)
            else:
                first = step["target"] + beyond
                expected[first : first + len(b)] = drained
        if step["drain"] == Kind.LOGITS and step["final"]:
            kept = best.model(logits, dut.params.best)
            chosen.append(kept + [(0, best.NOTHING)] * (dut.params.best - len(kept)))
            logits.clear()

    async def give_scalars(ctx):
        """Show the scalars of the vector that is asked for, and only its."""
        async for (number,) in ctx.changed(dut.vector):
            ctx.set(dut.scalars, current.get(number, Scalars())._asdict())

    async def feed(ctx):
        """Offer outputs, even more than are due; take or clear what is chosen in the end."""
        port = dut.outputs
        for step, results, b in made:
            prepare(step, results, b)
            current.clear()
            current.update({step["vector"] + v: mine for v, (mine, _) in enumerate(results)})
            await ctx.tick().until(dut.start)
            ctx.set(dut.scalars, results[0][0]._asdict())
            for number, accumulator, flags in in_order(results, TILE):
                while pausing and rng.random() < 0.4:
                    await ctx.tick()
                ctx.set(port.payload, {"accumulator": accumulator, **known(flags)})
                ctx.set(port.valid, 1)
                await ctx.tick().until(port.ready)
                assert number == 0 or batch > 1
                ctx.set(port.valid, 0)
            ctx.set(port.payload, {"accumulator": -1, **known(flags)})
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

    def known(flags):
        return flags if batch > 1 else {"last": flags["last"]}

    steps = [step for step, *_ in made]
    benches = [give_scalars, feed]
    taken = execute(dut, steps, words, benches=benches, pauses=(1, 3), own="b")
    assert words == expected
    assert found == chosen
    if not pausing:
        cycles = latency(dut.params) + 1
        assert taken == [step["count"] * step["vectors"] + cycles for step in steps]


@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("pausing", [False, True], ids=["dense", "idle"])
def test_kinds(width, kind, pausing):
    """One vector; in cores that know no others, and in those that do."""
    final = int(kind is Kind.LOGITS)
    cases = [(kind, count, final, 1) for count in (29, 1, 7, 8, 9, 30)]
    for batch in (1, BATCH):
        run(width, cases, seed=f"{width}{kind}", pausing=pausing, batch=batch)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LOGITS])
@pytest.mark.parametrize("pausing", [False, True], ids=["dense", "idle"])
def test_several_vectors(kind, pausing):
    cases = [(kind, c, 0, v) for c, v in ((29, 5), (1, 3), (8, 2), (16, 4), (17, 1), (9, 5))]
    run(4, cases, seed=f"{kind}", pausing=pausing)


@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize("pausing", [False, True], ids=["dense", "idle"])
def test_any_order(width, pausing):
    rng, cases = random.Random(width), []
    for kind in 2 * list(Kind):
        vectors = 1 if kind is Kind.LOGITS else rng.randrange(1, BATCH + 1)
        cases.append((kind, rng.randrange(1, 40), 0, vectors))
    run(width, rng.sample(cases, len(cases)), seed=width, pausing=pausing)


@pytest.mark.parametrize("take", [True, False], ids=["taken", "cleared"])
def test_ids_go_on(take):
    """The logits of several instructions are one vocabulary, until they are taken or cleared."""
    counts = [(Kind.LOGITS, 33, 0), (Kind.NORMED, 5, 0), (Kind.LOGITS, 1, 0), (Kind.LOGITS, 21, 1)]
    cases = [(*case, 1) for case in (*counts, (Kind.LOGITS, 40, 1))]
    run(4, cases, seed=9, pausing=False, take=take)


def test_waits_until_best_is_taken():
    """Logits come from a program whose predecessor's are still kept."""
    rng, dut = random.Random(2), Drain(params(4, WORDS))
    step, mine, accumulators, words = matrix(Kind.LOGITS, 3, rng, final=1)
    ports = [{"scalars": mine._asdict()}] * 2
    offered = []

    async def feed(ctx):
        for i, accumulator in enumerate(2 * accumulators):
            ctx.set(dut.outputs.payload, {"accumulator": accumulator, "last": i % 3 == 2})
            ctx.set(dut.outputs.valid, 1)
            await ctx.tick().until(dut.outputs.ready)
            offered.append(accumulator)
        ctx.set(dut.outputs.valid, 0)

    async def take(ctx):
        await ctx.tick().until(dut.done)
        await ctx.tick().repeat(50)
        assert len(offered) == 3
        ctx.set(dut.best.ready, 1)

    memory = words + [0] * (WORDS - len(words))
    taken = execute(dut, [step, step], memory, ports=ports, benches=[feed, take], own="b")
    least = 3 + latency(dut.params) + 1
    assert taken[0] == least and taken[1] > least + 40
