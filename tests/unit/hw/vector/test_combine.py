# amaranth: UnusedElaboratable=no
"""LAYER_NORM and SUM against their models, and these against the golden ones."""

import random

import pytest
import torch

from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import layer_norm_cycles, sum_cycles
from hw.vector import layer_norm, scaled_words, sum_rows
from hw.vector.combine import Combine
from sw.golden import encoder_vector, integers, vector
from tests.unit.hw.vector.steps import execute, params

LARGEST = (1 << 23) - 1


def norm_instruction(rng, count, *, epsilon=None, constant=None):
    """LAYER_NORM whose constants are those of a width, or of none."""
    mean = encoder_vector.reciprocal(count)
    return {
        "count": count,
        "constant": rng.randint(8, 34) if constant is None else constant,
        "multiplier": rng.randrange(1 << 15, 1 << 16),
        "epsilon_low": epsilon or rng.randrange(1, 1 << rng.randrange(1, 33)),
        "mean": mean.mantissa,
        "mean_shift": -mean.exponent,
    }


def norm_words(rng, count, kind=None):
    """Return h, gamma and beta: random ones of all sizes, or extreme ones."""
    if kind == "flat":
        return [LARGEST] * count, [32767] * count, [-LARGEST] * count
    if kind == "peak":
        return [-LARGEST, *[LARGEST] * (count - 1)], [-32768] * count, [LARGEST] * count
    if kind == "zero":
        return [0] * count, [0] * count, [0] * count
    size, centre = rng.randrange(1, 23), rng.randint(-LARGEST, LARGEST) >> rng.randrange(24)
    h = [centre + rng.randint(-1 << size, 1 << size) for _ in range(count)]
    return (
        [max(min(word, LARGEST), -LARGEST) for word in h],
        [rng.randint(-32768, 32767) >> rng.randrange(16) for _ in range(count)],
        [rng.randint(-LARGEST, LARGEST) >> rng.randrange(24) for _ in range(count)],
    )


@pytest.mark.parametrize("kind", [None, "flat", "peak", "zero"])
@pytest.mark.parametrize("count", [1, 37, 384])
def test_norm_is_golden(kind, count):
    rng = random.Random(f"{kind}{count}")
    for _ in range(10):
        operands = norm_instruction(rng, count)
        h, gamma, beta = norm_words(rng, count, kind)
        golden = encoder_vector.layer_norm(
            torch.tensor(h),
            torch.tensor(gamma),
            torch.tensor(beta),
            epsilon=operands["epsilon_low"],
            root=vector.Scaled(operands["multiplier"], 0),
            mean=vector.Scaled(operands["mean"], -operands["mean_shift"]),
            constant=operands["constant"],
        )
        step = Instruction(Opcode.LAYER_NORM, operands)
        assert layer_norm.model(step, h, gamma, beta) == golden.tolist()


@pytest.mark.parametrize("k", [-40, -3, 0, 17, 40, 90])
def test_scaled_words_are_golden(k):
    rng = random.Random(k)
    numbers = [rng.randint(-(1 << 39), (1 << 39) - 1) >> rng.randrange(40) for _ in range(50)]
    numbers += [-(1 << 39), (1 << 39) - 1]
    golden = integers.rescale(torch.tensor(numbers), 65535, k)
    assert scaled_words.model(numbers, 65535, k) == golden.tolist()


class Bench:
    """Instructions in random vector memory, and what they leave there."""

    def __init__(self, width, seed):
        self.width, self.rng = width, random.Random(seed)
        self.words = [self.rng.randint(-LARGEST, LARGEST) for _ in range(1024)]
        self.steps, self.expected, self.cycles = [], None, []
        self.first = 8

    def place(self, values):
        """Put a vector into memory, words of others around it; return its address."""
        place = self.first
        self.words[place : place + len(values)] = values
        self.first = (place + len(values) + 9) // 8 * 8
        return place

    def norm(self, count, kind=None, **operands):
        h, gamma, beta = norm_words(self.rng, count, kind)
        places = {
            name: self.place(values) for name, values in zip("abc", (h, gamma, beta), strict=True)
        }
        target = {"target": places["a"] if self.rng.random() < 0.5 else self.place([7] * count)}
        made = norm_instruction(self.rng, count, **operands)
        self.steps.append(Instruction(Opcode.LAYER_NORM, made | places | target))
        self.cycles.append(layer_norm_cycles(count, self.width))

    def add_up(self, count, rows, *, k=None, extreme=None):
        stride = -(-count // 8) * 8
        vectors = [
            [
                self.rng.randint(-LARGEST, LARGEST) if extreme is None else extreme
                for _ in range(stride)
            ]
            for _ in range(rows)
        ]
        first = self.place([word for vector in vectors for word in vector])
        target = first + stride * self.rng.randrange(rows)
        if self.rng.random() < 0.5:
            target = self.place([7] * count)
        operands = {"a": first, "stride": stride, "inner": rows, "target": target, "count": count}
        k = self.rng.choice((-3, 0, 14, 20)) if k is None else k
        scale = {"multiplier": self.rng.choice((1, 32768, 65535)), "constant": k}
        self.steps.append(Instruction(Opcode.SUM, operands | scale))
        self.cycles.append(sum_cycles(count, rows, self.width))

    def run(self, pauses=(0, 3, 1)):
        expected = list(self.words)
        for step in self.steps:
            if step.opcode is Opcode.SUM:
                expected = sum_rows.model(expected, step)
                continue
            count = step["count"]
            given = (expected[step[name] : step[name] + count] for name in "abc")
            made = layer_norm.model(step, *given)
            expected[step["target"] : step["target"] + count] = made
        ports = [{"norms": step.opcode is Opcode.LAYER_NORM} for step in self.steps]
        dut = Combine(params(self.width))
        taken = execute(dut, self.steps, self.words, ports=ports, pauses=pauses)
        assert self.words == expected
        assert taken == self.cycles


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_lengths(width):
    """Counts around those of beats, both instructions in turns."""
    bench = Bench(width, width)
    for count in (1, 7, 8, 9, 21):
        bench.norm(count)
        bench.add_up(count, rows=1 + count % 4)
    bench.norm(33)
    bench.norm(34)
    bench.run()


@pytest.mark.parametrize("width", [1, 8])
def test_extremes(width):
    bench = Bench(width, width + 40)
    for kind in ("flat", "peak", "zero"):
        bench.norm(13, kind)
    for constant in (-32768, 32767):
        bench.norm(5, constant=constant)
        bench.add_up(5, 2, k=constant)
    for extreme in (LARGEST, -LARGEST):
        bench.add_up(11, 9, k=16, extreme=extreme)
    bench.run()


def test_long_sum():
    """More rows than a beat has words, and all in place."""
    bench = Bench(4, 5)
    bench.add_up(6, rows=70, k=22)
    bench.run()
