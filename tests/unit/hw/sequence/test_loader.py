"""LOADs against the instruction's definition, over memories of all tempers."""

import random

import pytest
from amaranth.sim import Simulator

from hw.sequence.loader import Loader
from hw.spec.program import OPERANDS
from tests.unit.hw.bus.memory import AxiMemory
from tests.unit.hw.sequence.cores import params


def instruction(**operands):
    """Return the bits of an instruction."""
    value = 0
    for name, number in operands.items():
        operand = OPERANDS[name]
        assert 0 <= number < 1 << operand.width, name
        value |= number << operand.position
    return value


def addresses(load):
    """Return the byte address of every number."""
    inner, stride, outer = (load[name] for name in ("inner", "inner_stride", "outer_stride"))
    return [
        (load["origin"] + j // inner * outer + j % inner * stride) % (1 << 32)
        for j in range(load["count"])
    ]


def words(load, memory):
    """Return the numbers of a LOAD."""
    found = []
    for address in addresses(load):
        octets = bytes(memory.octet(address + i) for i in range(load["size"]))
        flipped = bytes(octet ^ 8 * load["nibbles"] for octet in octets)
        found.append(int.from_bytes(flipped, "little", signed=True))
    return found


def beats(load, octets):
    """Return the addresses of the bus beats that hold them."""
    return {address - address % octets for address in addresses(load)}


def draw_load(rng, width, *, most=120):
    """Return any LOAD: dense, dense in runs or strided; runs longer and shorter than count."""
    size = rng.choice((1, 2))
    count = rng.randint(1, most)
    inner = rng.choice((1, 2, rng.randint(1, 9), rng.randint(1, most), 65535))
    dense = rng.random() < 0.6
    stride = size if dense else size * rng.choice((0, 2, 3, rng.randrange(1 << 31), 100))
    outer = size * rng.choice((inner, inner + 1, 0, rng.randrange(1 << 31), 512, 4099))
    origin = rng.choice((rng.randrange(1 << 32), 4096 - rng.randrange(64), (1 << 32) - 70))
    return {
        "size": size,
        "count": count,
        "inner": inner,
        "inner_stride": stride % (1 << 32),
        "outer_stride": outer % (1 << 32),
        "origin": origin - origin % size,
        "nibbles": int(size == 1 and rng.random() < 0.4),
        "target": width * rng.randrange(2048 // width),
    }


class Bench:
    """A loader, device memory, and vector memory that is granted now and then."""

    def __init__(self, core, *, seed=None, latency=1, grants=1.0):
        self.dut = dut = Loader(core)
        self.octets, self.width = core.axi_data_width // 8, core.vector_width
        self.memory = AxiMemory(dut.axi, seed=seed, latency=latency)
        self.words, self.cycle = {}, 0
        self._rng, self._grants = random.Random(seed), grants

    async def tick(self, ctx):
        """Take what is written in a cycle, and go to the next."""
        dut = self.dut
        granted, mask = ctx.get(dut.granted), ctx.get(dut.write.mask)
        assert granted or not (mask or ctx.get(dut.write.address) or any(ctx.get(dut.write.words)))
        for i in range(self.width):
            if mask >> i & 1:
                address = ctx.get(dut.write.address) + i
                assert address not in self.words
                self.words[address] = ctx.get(dut.write.words[i])
        await ctx.tick()
        self.cycle += 1
        ctx.set(dut.granted, self._rng.random() < self._grants)

    async def start(self, ctx, load):
        """Give an instruction."""
        self.words.clear()
        self.memory.read.clear()
        operands = {name: load[name] for name in load if name not in ("origin", "count")}
        bits = instruction(**operands)
        ctx.set(self.dut.instruction, self.dut.instruction.shape().from_bits(bits))
        ctx.set(self.dut.count, load["count"])
        ctx.set(self.dut.origin, load["origin"])
        ctx.set(self.dut.start, 1)
        await self.tick(ctx)
        ctx.set(self.dut.start, 0)

    async def end(self, ctx):
        """Return whether the instruction is done, or has failed."""
        while not (ctx.get(self.dut.done) or ctx.get(self.dut.failed)):
            await self.tick(ctx)
            assert self.cycle < 200_000
        return bool(ctx.get(self.dut.done)), bool(ctx.get(self.dut.failed))

    async def check(self, ctx, load):
        """Let an instruction run to its end; return its cycles."""
        await self.start(ctx, load)
        begin = self.cycle
        assert await self.end(ctx) == (True, False)
        cycles = self.cycle - begin
        expected = dict(enumerate(words(load, self.memory), load["target"]))
        assert self.words == expected
        assert set(self.memory.read) == beats(load, self.octets)
        assert self.memory.due == 0 and self.memory.refused == 0
        return cycles

    def run(self, bench):
        """Simulate."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_process(self.memory.serve_reads)
        simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("bus", [32, 128, 512, 1024])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_loads(bus, width, seed):
    """Any numbers, whatever memory does: the words that are due, and no beat beyond theirs."""
    rng = random.Random(seed * bus + width)
    test = Bench(params(bus, vector_width=width), seed=seed, latency=9, grants=0.6)

    async def bench(ctx):
        for _ in range(15):
            await test.check(ctx, draw_load(rng, width))

    test.run(bench)


@pytest.mark.parametrize("bus", [32, 128, 512])
@pytest.mark.parametrize("latency", [1, 25])
def test_rate(bus, latency):
    """A number a cycle, whether dense or strided; latency is met once."""
    test = Bench(params(bus), latency=latency)
    shapes = {
        "dense": {"inner": 500, "inner_stride": 1, "outer_stride": 0, "size": 1},
        "pairs": {"inner": 500, "inner_stride": 2, "outer_stride": 0, "size": 2},
        "runs": {"inner": 32, "inner_stride": 1, "outer_stride": 1024, "size": 1},
        "strided": {"inner": 8, "inner_stride": 4096, "outer_stride": 3, "size": 1},
    }

    async def bench(ctx):
        ctx.set(test.dut.granted, 1)
        for shape in shapes.values():
            load = {**shape, "count": 499, "origin": 6, "nibbles": 0, "target": 0}
            cycles = await test.check(ctx, load)
            assert cycles <= 499 + latency + 15, (shape, cycles)
            if shape["inner"] == 500:
                assert len(test.memory.read) == len(set(test.memory.read))

    test.run(bench)


def test_no_inner():
    """An instruction with ``inner`` 0 comes to an end: it is taken for 65,536."""
    test = Bench(params(32))
    load = {"size": 1, "count": 9, "inner": 1 << 16, "inner_stride": 1, "outer_stride": 5}
    load |= {"origin": 77, "nibbles": 0, "target": 8}
    expected = dict(enumerate(words(load, test.memory), 8))

    async def bench(ctx):
        await test.start(ctx, {**load, "inner": 0})
        assert await test.end(ctx) == (True, False)
        assert test.words == expected
        assert set(test.memory.read) == beats(load, test.octets) and test.memory.due == 0

    test.run(bench)


@pytest.mark.parametrize("bus", [32, 128, 512])
def test_errors(bus):
    """An error response anywhere; the next LOAD finds nothing of the one that failed."""
    rng = random.Random(bus)
    test = Bench(params(bus), seed=3, latency=15, grants=0.7)

    async def bench(ctx):
        for _ in range(15):
            load = draw_load(rng, 4)
            place = rng.choice(sorted(beats(load, test.octets)))
            test.memory.errors = {place: rng.choice((2, 3))}
            await test.start(ctx, load)
            assert await test.end(ctx) == (False, True)
            assert test.memory.due == 0 and not test.memory.errors
            assert set(test.memory.read) <= beats(load, test.octets)
            await test.tick(ctx)
            assert not ctx.get(test.dut.failed) and not ctx.get(test.dut.draining)
            await test.check(ctx, draw_load(rng, 4, most=40))

    test.run(bench)


@pytest.mark.parametrize("bus", [32, 128, 512])
def test_aborts(bus):
    """An abort at any time, also while a failure drains."""
    rng = random.Random(bus + 1)
    test = Bench(params(bus), seed=4, latency=15, grants=0.7)

    async def bench(ctx):
        for _ in range(25):
            load = draw_load(rng, 4)
            if rng.random() < 0.5:
                test.memory.errors = {min(beats(load, test.octets)): 2}
            await test.start(ctx, load)
            for _ in range(rng.randrange(60)):
                if ctx.get(test.dut.done) or ctx.get(test.dut.failed):
                    break
                await test.tick(ctx)
            ctx.set(test.dut.abort, 1)
            assert not ctx.get(test.dut.failed)
            await test.tick(ctx)
            ctx.set(test.dut.abort, 0)
            assert ctx.get(test.dut.draining)
            while ctx.get(test.dut.draining):
                assert not ctx.get(test.dut.done) and not ctx.get(test.dut.failed)
                await test.tick(ctx)
            assert test.memory.due == 0
            test.memory.errors = {}
            await test.check(ctx, draw_load(rng, 4, most=40))

    test.run(bench)
