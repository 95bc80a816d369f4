"""KEEP against its model, and the model against the golden one."""

import random

import pytest
import torch

from hw.spec.program import Instruction, Opcode
from hw.spec.token_cycles import keep_cycles
from hw.vector import keep
from hw.vector.keep import Keep
from hw.vector.word import LARGEST
from sw.golden.cache import code_heads
from tests.unit.hw.vector.steps import execute, params

WORDS = 512


def memory(seed):
    """Words of all sizes, with a head of zeros and one of the extremes."""
    rng = random.Random(seed)
    words = [rng.randint(-LARGEST, LARGEST) >> rng.randrange(23) for _ in range(WORDS)]
    words[64:96] = [0] * 32
    words[128:148] = [rng.choice((-LARGEST, LARGEST)) for _ in range(20)]
    words[160:224] = [rng.randint(-200, 200) for _ in range(64)]
    return words


def instruction(**operands):
    return Instruction(Opcode.KEEP, operands)


def addresses(seed):
    rng = random.Random(seed)
    names = ("origin", "mantissa_origin", "scale_address")
    return {name: rng.randrange(1 << 31) for name in names}


#: Keys in runs of a group, values in runs of lanes; one run; one word; addresses that wrap.
CASES = [
    instruction(a=0, count=64, inner=32, keys=1, inner_stride=4, outer_stride=5000),
    instruction(a=160, count=64, inner=8, inner_stride=1, outer_stride=70_001),
    instruction(a=64, count=32, inner=32, keys=1, inner_stride=65_536, outer_stride=77),
    instruction(a=64, count=20, inner=20, inner_stride=3, outer_stride=1 << 31),
    instruction(a=128, count=20, inner=10, keys=1, inner_stride=2**32 - 3, outer_stride=2**32 - 9),
    instruction(a=128, count=20, inner=1, inner_stride=9, outer_stride=2**31 - 1),
    instruction(a=248, count=1, inner=1, keys=1, inner_stride=9, outer_stride=11),
    instruction(a=256, count=256, inner=32, keys=1, inner_stride=1, outer_stride=33),
]
PORTS = [addresses(seed) for seed in range(len(CASES))]


def sent_by(case, words, ports):
    return keep.model(words, case, **ports)


class Memory:
    """Takes bytes, sometimes late, and acknowledges them later still."""

    def __init__(self, dut, seed):
        self.dut, self.rng = dut, random.Random(seed)
        self.dense = seed is None
        self.taken, self.unstored = [], 0

    async def take(self, ctx):
        octets, stored, rng = self.dut.octets, self.dut.stored, self.rng
        waiting = []
        while True:
            ctx.set(octets.ready, self.dense or rng.random() < 0.4)
            ctx.set(stored, not waiting)
            if not self.dense:
                assert not (waiting and ctx.get(self.dut.done))
            _, _, valid, ready, octet = await ctx.tick().sample(
                octets.valid, octets.ready, octets.payload
            )
            waiting = [left - 1 for left in waiting if left]
            if valid and ready:
                self.taken.append((octet.address, octet.octet))
                waiting += [] if self.dense else [rng.randrange(30)]

    async def hold(self, ctx):
        """A byte that waits does not change."""
        before = None
        octets = self.dut.octets
        async for _, _, valid, ready, octet in ctx.tick().sample(
            octets.valid, octets.ready, octets.payload
        ):
            assert before is None or (valid and octet.as_bits() == before)
            before = octet.as_bits() if valid and not ready else None


def run(width, seed, cases=CASES, ports=PORTS):
    words = memory(width)
    dut = Keep(params(width, WORDS))
    memory_of_bytes = Memory(dut, seed)
    taken = execute(
        dut,
        cases,
        words,
        ports=ports,
        benches=[memory_of_bytes.take, memory_of_bytes.hold],
        pauses=(0, 3, 1),
    )
    expected = [sent_by(*each) for each in zip(cases, [words] * len(cases), ports, strict=True)]
    assert memory_of_bytes.taken == [octet for sent in expected for octet in sent]
    return taken, expected


def test_model_is_golden():
    words = memory(5)
    for case, ports in zip(CASES, PORTS, strict=True):
        count, inner = case["count"], case["inner"]
        golden = code_heads(torch.tensor(words[case["a"] :][:count]))
        sent = sent_by(case, words, ports)
        expected = {}
        for j, code in enumerate(golden.codes.tolist()):
            address = ports["origin"] + j // inner * case["outer_stride"]
            address += j % inner * case["inner_stride"]
            expected[address % 2**32] = (code ^ 8) % 256
        for run_number in range(count // inner if case["keys"] else 0):
            address = ports["mantissa_origin"] + run_number * case["outer_stride"]
            expected[address % 2**32] = golden.mantissa.item()
        expected[ports["scale_address"]] = golden.mantissa.item()
        expected[ports["scale_address"] + 1] = golden.exponent.item() % 256
        assert dict(sent) == expected
        assert len(sent) == count + bool(case["keys"]) * count // inner + 2


@pytest.mark.parametrize("width", [1, 4, 8])
def test_keep(width):
    taken, sent = run(width, None)
    expected = [
        keep_cycles(case["count"], len(octets), width)
        for case, octets in zip(CASES, sent, strict=True)
    ]
    assert taken == expected


@pytest.mark.parametrize("width", [1, 4, 8])
def test_keep_waits(width):
    """Bytes are taken late, and acknowledged later."""
    run(width, width)


def test_partial_run_has_a_mantissa():
    case = instruction(a=0, count=20, inner=8, keys=1, inner_stride=1, outer_stride=100)
    _, (sent,) = run(2, 2, [case], PORTS[:1])
    origin = PORTS[0]["mantissa_origin"]
    assert [address for address, _ in sent[20:23]] == [origin, origin + 100, origin + 200]
