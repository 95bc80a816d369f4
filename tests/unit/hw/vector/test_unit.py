# amaranth: UnusedElaboratable=no
"""The vector unit: instructions beside a drain, and the scalars of each vector."""

import random

import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.bus.window import WINDOW_LATENCY
from hw.integrate.output_buffer import READ_LATENCY
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.program import Drain, Instruction, Opcode
from hw.vector import drain, feed, keep, layer_norm, rotate, softmax, sum_rows
from hw.vector.scalars import Scalars
from hw.vector.unit import VectorUnit
from hw.vector.word import LARGEST
from tests.unit.hw.vector.machine import inputs_of

WIDTH, WORDS, BATCH, LANES = 4, 1024, 4, 8
ADDRESSES = {"origin": 5000, "mantissa_origin": 7000, "scale_address": 9000}


def unit(**changes):
    return VectorUnit(
        CoreParams(
            CoreConfig(
                **{"lanes": LANES, "memory": "axi", "vector_words": WORDS, "batch": BATCH},
                **{"vector_width": WIDTH, "max_inputs": 64, "max_outputs": 128},
            ).replace(**changes)
        )
    )


def whole(instruction):
    return int.from_bytes(instruction.encode(), "little")


class Bench:
    """Plays sequencer, matrix unit, encoder and device memory; keeps what the unit should hold."""

    def __init__(self, dut, seed):
        self.dut, self.rng = dut, random.Random(seed)
        self.words = [self.rng.randint(-(1 << 15), 1 << 15) for _ in range(WORDS)]
        self.words[:64] = [100 + 256 * self.rng.randrange(4) for _ in range(64)]
        self.words[64:128] = [self.rng.randint(-3, 3) for _ in range(64)]
        self.bases = [self.rng.randrange(6) for _ in range(BATCH)]
        self.scalars = [Scalars(base=base) for base in self.bases]
        self.written, self.inputs, self.octets, self.drained = [], [], [], None

    async def load(self, ctx):
        """Fill vector memory through the port of LOADs."""
        port = self.dut.load
        ctx.set(self.dut.closed, 1)
        ctx.set(self.dut.bases, self.bases)
        for first in range(0, WORDS, WIDTH):
            assert ctx.get(self.dut.granted)
            ctx.set(port.address, first)
            ctx.set(port.words, self.words[first : first + WIDTH])
            ctx.set(port.mask, (1 << WIDTH) - 1)
            await ctx.tick()
        ctx.set(port.address, 0)
        ctx.set(port.mask, 0)
        ctx.set(Value.cast(port.words), 0)

    async def execute(self, ctx, opcode, **operands):
        """Execute an instruction of the vector unit; it must give what its model gives."""
        dut, instruction = self.dut, Instruction(opcode, operands)
        a, b = (self.words[instruction[name] :][: operands["count"]] for name in "ab")
        self.inputs.clear()
        self.octets.clear()
        ctx.set(dut.task.instruction.as_value(), whole(instruction))
        for name, value in ADDRESSES.items():
            ctx.set(dut.task[name], value)
        start = dut.starts[opcode.name.lower()]
        ctx.set(start, 1)
        await ctx.tick()
        ctx.set(start, 0)
        await ctx.tick().until(dut.executed)
        ctx.set(dut.task.instruction.as_value(), (1 << 512) - 1)
        await ctx.tick()  # the last inputs may be written with it

        vector, expected = operands.get("vector", 0), []
        if opcode is Opcode.SOFTMAX:
            expected, gain, gain_shift = softmax.model(a, b)
            self.set(vector, gain=gain, gain_shift=gain_shift)
        elif opcode is Opcode.KEEP:
            assert self.octets == keep.model(self.words, instruction, **ADDRESSES)
        else:
            expected, shift, multiplier, exponent = feed.model(instruction, a, b)
            self.set(vector, shift=shift)
            if opcode is Opcode.NORM:
                self.set(vector, multiplier=multiplier, exponent=exponent)
        assert [value for _, value in inputs_of(self.inputs, WIDTH)] == expected

    async def change(self, ctx, opcode, **operands):
        """Execute an instruction that makes words."""
        dut, instruction = self.dut, Instruction(opcode, operands)
        ctx.set(dut.task.instruction.as_value(), whole(instruction))
        start = dut.starts[opcode.name.lower()]
        ctx.set(start, 1)
        await ctx.tick()
        ctx.set(start, 0)
        await ctx.tick().until(dut.executed)
        ctx.set(dut.task.instruction.as_value(), (1 << 512) - 1)
        if opcode is Opcode.LAYER_NORM:
            count = operands["count"]
            made = layer_norm.model(
                instruction, *(self.words[operands[name] :][:count] for name in "abc")
            )
            self.words[operands["target"] : operands["target"] + count] = made
        else:
            model = {Opcode.ROTATE: rotate.model, Opcode.SUM: sum_rows.model}[opcode]
            self.words = model(self.words, instruction)

    def set(self, vector, **scalars):
        self.scalars[vector] = self.scalars[vector]._replace(**scalars)

    async def start(self, ctx, **operands):
        """Start a matrix, and remember what it shall leave."""
        dut, self.product = self.dut, Instruction(Opcode.MATVEC, operands)
        i, self.written = self.product, []
        tiles = -(-i["count"] // LANES)
        self.outputs = [
            [self.rng.randint(-(1 << 34), 1 << 34) for _ in range(tiles * LANES)]
            for _ in range(i["vectors"])
        ]
        ctx.set(dut.product.instruction.as_value(), whole(self.product))
        ctx.set(dut.starts.matvec, 1)
        await ctx.tick()
        ctx.set(dut.starts.matvec, 0)
        assert not ctx.get(dut.drained)
        expected = list(self.words)
        for w, outputs in enumerate(self.outputs):
            first = i["target"] + w * i["stride"]
            beyond = w * i["stride"] if i["drain"] == Drain.RESIDUAL else 0
            a = self.words[i["a"] + beyond :][: i["count"]]
            b = self.words[i["b"] :][: i["count"]]
            mine = self.scalars[i["vector"] + w]
            made = drain.model(i, mine, outputs[: i["count"]], a, b)
            expected[first : first + i["count"]] = made
            middling = [word for word in made if 0 < abs(word) < LARGEST]
            assert len(middling) > len(made) // 2
        self.words = expected

    async def multiply(self, ctx, cycles):
        """Complete a tile of a vector every few cycles, until all is drained."""
        dut = self.dut
        for first in range(0, len(self.outputs[0]), LANES):
            for outputs in self.outputs:
                await ctx.tick().repeat(cycles)
                ctx.set(dut.tile_done, 1)
                await ctx.tick()
                ctx.set(dut.tile_done, 0)
                self.written.extend(outputs[first : first + LANES])
        while not ctx.get(dut.drained):
            await ctx.tick()

    async def play(self, ctx):
        """Answer with outputs; take inputs of the encoder, and bytes."""
        dut, coming = self.dut, [0] * READ_LATENCY
        ctx.set(dut.octets.ready, 1)
        ctx.set(dut.stored, 1)
        sampled = (dut.output, dut.input.en, dut.input.address, dut.input.data.as_value())
        sampled += (dut.octets.valid, dut.octets.p.address, dut.octets.p.octet)
        async for _, _, output, en, address, inputs, valid, place, octet in ctx.tick().sample(
            *sampled
        ):
            coming.append(self.written[output] if output < len(self.written) else -999)
            ctx.set(dut.accumulator, coming.pop(1))
            if en:
                self.inputs.append((en, address, inputs))
            if valid:
                self.octets.append((place, octet))
            ctx.set(dut.stored, not valid)

    async def check(self, ctx):
        """Read all of vector memory as the host does."""
        dut = self.dut
        ctx.set(dut.closed, 0)
        for address, word in enumerate(self.words):
            ctx.set(dut.vector.address, address)
            await ctx.tick().repeat(WINDOW_LATENCY)
            assert ctx.get(dut.vector.read_data) == word % (1 << 32), address
        ctx.set(dut.vector.address, 0)
        ctx.set(dut.closed, 1)


NORM = {"b": 400, "multiplier": 40000, "epsilon_low": 77}
NORMED = {"drain": int(Drain.NORMED), "constant": 48}
SCORES = {"drain": int(Drain.SCORES), "constant": 48, "multiplier": 50000}
CONTEXT = {"drain": int(Drain.CONTEXT), "constant": 40}
RESIDUAL = {"drain": int(Drain.RESIDUAL), "constant": 48}
KEEP = {"inner": 8, "inner_stride": 1, "outer_stride": 64, "keys": 1}


@pytest.mark.parametrize("cycles", [1, 30])
def test_beside_a_drain(cycles):
    """All that may run beside a drain, of each kind, with scalars that are set meanwhile."""
    dut = unit()
    bench = Bench(dut, cycles)
    started, ended = [], []

    async def matrix(ctx):
        while True:
            while not started:
                await ctx.tick()
            started.clear()
            await bench.multiply(ctx, cycles)
            ended.append(True)

    async def steps(ctx):
        async def start(**operands):
            await bench.start(ctx, **operands)
            started.append(True)

        async def end():
            while not ended:
                await ctx.tick()
            ended.clear()

        await bench.load(ctx)
        for vector in range(3):
            where = {"a": 200 + 52 * vector, "count": 19 + vector}
            await bench.execute(ctx, Opcode.NORM, vector=vector, **where, **NORM)
        await bench.execute(ctx, Opcode.NORMALIZE, a=140, count=13, vector=1)

        await start(vector=0, vectors=3, count=21, stride=24, target=800, b=64, **NORMED)
        await bench.execute(ctx, Opcode.NORM, vector=3, a=300, count=33, **NORM)
        await bench.execute(ctx, Opcode.SOFTMAX, vector=3, a=500, b=0, count=30)
        await end()

        await start(vector=3, vectors=1, count=17, target=900, b=0, **SCORES)
        await bench.execute(ctx, Opcode.SOFTMAX, vector=2, a=500, b=8, count=41)
        await bench.execute(ctx, Opcode.KEEP, a=540, count=24, **KEEP)
        await end()

        await start(vector=2, vectors=2, count=8, stride=40, target=944, **CONTEXT)
        await bench.execute(ctx, Opcode.GATE, a=160, b=220, count=37, vector=0)
        await bench.execute(ctx, Opcode.NORMALIZE, a=260, count=9, vector=1)
        await end()

        words = NORMED | {"constant": 43}
        await start(vector=0, vectors=2, count=25, stride=28, target=744, b=64, **words)
        for late in (3, 2 * LANES):  # amid the first tile, and before any other
            await ctx.tick().repeat(late)
            await bench.change(ctx, Opcode.ROTATE, a=960, b=128, c=144, count=2, inner=8)
        await end()

        await start(vector=0, vectors=4, count=30, stride=32, a=600, target=600, b=64, **RESIDUAL)
        await end()
        await bench.check(ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(steps)
    simulator.add_testbench(matrix, background=True)
    simulator.add_testbench(bench.play, background=True)
    simulator.run()


def test_for_encoders():
    """Instructions that make words, and one beside a drain with biases of all vectors."""
    dut = unit(encoder=True)
    bench = Bench(dut, 3)
    norm = {"multiplier": 50000, "epsilon_low": 9, "mean": 55000, "mean_shift": 20, "constant": 20}

    async def steps(ctx):
        await bench.load(ctx)
        for a, target in ((200, 200), (260, 900)):
            where = {"a": a, "b": 400, "c": 500, "target": target, "count": 37}
            await bench.change(ctx, Opcode.LAYER_NORM, **where, **norm)
        rows = {"a": 200, "stride": 60, "inner": 3, "target": 320, "count": 30}
        await bench.change(ctx, Opcode.SUM, **rows, multiplier=43691, constant=17)
        await bench.execute(ctx, Opcode.GELU, a=200, count=33, vector=2)
        await bench.start(
            ctx,
            **{"vector": 2, "vectors": 2, "count": 21, "stride": 24, "target": 800},
            **{"drain": int(Drain.BIASED), "constant": 48, "a": 600, "b": 64},
        )
        await bench.multiply(ctx, 5)
        await bench.check(ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(steps)
    simulator.add_testbench(bench.play, background=True)
    simulator.run()


def test_stop():
    """A drain that is stopped leaves nothing behind: the next begins anew."""
    dut = unit()
    bench = Bench(dut, 7)

    async def steps(ctx):
        await bench.load(ctx)
        assert ctx.get(dut.drained)
        await bench.execute(ctx, Opcode.NORM, vector=1, a=200, count=20, **NORM)
        before = bench.words
        await bench.start(
            ctx, vector=1, vectors=2, count=21, stride=24, target=800, b=64, **RESIDUAL
        )
        ctx.set(dut.tile_done, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.tile_done, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.stop, 1)
        await ctx.tick()
        ctx.set(dut.stop, 0)
        await ctx.tick()
        assert ctx.get(dut.drained)
        bench.words = before
        await bench.start(ctx, vector=1, vectors=1, count=10, target=900, b=64, **NORMED)
        await bench.multiply(ctx, 5)
        await bench.check(ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(steps)
    simulator.add_testbench(bench.play, background=True)
    simulator.run()


@pytest.mark.parametrize(
    ("name", "words", "changes"),
    [
        ("vector", WORDS, {}),
        ("vector", WORDS + 3 * WIDTH, {"vector_words": WORDS + 3 * WIDTH}),
        ("best", 2, {"best": 1}),
        ("best", 6, {"best": 3}),
    ],
)
def test_windows_end_with_their_words(name, words, changes):
    """Also in the very cycle in which the address has moved on by itself."""
    dut, readable = unit(**changes), []
    window = getattr(dut, name)

    async def bench(ctx):
        ctx.set(window.address, max(0, words - 4))
        await ctx.tick()
        for address in range(max(0, words - 4), words + 4):
            ctx.set(window.address, address)
            readable.append((address, ctx.get(window.readable)))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert readable == [(address, address < words) for address, _ in readable]
