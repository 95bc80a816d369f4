"""The matrix unit as a program drives it: vectors are encoded beside products of others."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.integrate.output_buffer import READ_LATENCY
from hw.matrix_unit import MatrixUnit
from hw.spec.codes import TABLES
from hw.spec.cycles import CHECK
from hw.spec.formats import W4
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from tests.rtl.reference import Matrix, encode

INPUTS = 40


def _unit(integrator):
    config = CoreConfig(lanes=8, memory_beats=2000, max_inputs=64, max_outputs=32, memory="axi")
    return MatrixUnit(CoreParams(config.replace(integrator=integrator, batch=3)))


class Program:
    """What gives the commands."""

    def __init__(self, ctx, unit):
        self.ctx, self.unit = ctx, unit

    async def write(self, x):
        ctx, port = self.ctx, self.unit.input
        ctx.set(port.en, 1)
        for address, value in enumerate(x):
            ctx.set(port.address, address)
            ctx.set(port.data, [int(value)])
            await ctx.tick()
        ctx.set(port.en, 0)

    async def encode(self, vector, *, join=False, bank=0):
        """Begin to encode what was written."""
        ctx, encoding = self.ctx, self.unit.encoding
        await ctx.tick().repeat(4)
        ctx.set(encoding.mode, {"table": TABLES["companded"].number})
        ctx.set(encoding.quantizer, {"constant": 367, "threshold": 4})
        values = {"inputs": INPUTS, "vector": vector, "join": join, "bank": bank}
        for name, value in values.items():
            ctx.set(encoding[name], value)
        await self._pulse(self.unit.encode)

    async def multiply(self, first, last, *, tiles, base, bank=0):
        """Begin to multiply vectors."""
        ctx, command = self.ctx, self.unit.command
        ctx.set(command.mode, {"table": TABLES["companded"].number, "format": W4.number})
        ctx.set(command.quantizer, {"constant": 367, "threshold": 4})
        values = {"inputs": INPUTS, "tiles": tiles, "weight_base": base, "bank": bank}
        for name, value in (values | {"first": first, "last": last}).items():
            ctx.set(command[name], value)
        await self._pulse(self.unit.start)

    async def _pulse(self, port):
        ctx = self.ctx
        ctx.set(port, 1)
        await ctx.tick()
        ctx.set(port, 0)
        await ctx.tick().repeat(CHECK + 1)
        assert not ctx.get(self.unit.error)

    async def outputs(self, tiles, vectors):
        """Accumulators of each vector."""
        found = np.zeros((tiles, vectors, 8), np.int64)
        for number in range(found.size):
            self.ctx.set(self.unit.address, 2 * number)
            await self.ctx.tick().repeat(READ_LATENCY)
            found.flat[number] = self.ctx.get(self.unit.accumulator)
        return found.transpose(1, 0, 2).reshape(vectors, -1)


async def _serve(ctx, unit, words):
    """Answer bursts in order, a beat a cycle; count the beats."""
    bus = unit.memory
    while True:
        ctx.set(bus.arready, 1)
        while not ctx.get(bus.arvalid):
            await ctx.tick()
        address, beats = ctx.get(bus.araddr) // 4, ctx.get(bus.arlen)
        await ctx.tick()
        ctx.set(bus.arready, 0)
        for beat in range(beats + 1):
            ctx.set(bus.rvalid, 1)
            ctx.set(bus.rdata, int(words[address + beat]))
            ctx.set(bus.rlast, beat == beats)
            while not ctx.get(bus.rready):
                await ctx.tick()
            await ctx.tick()
            ctx.set(bus.rvalid, 0)


@pytest.mark.parametrize("chases", [False, True], ids=["awaits", "chases"])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_vectors_beside_products(integrator, chases):
    """Two vectors are encoded for two matrices; during the second a third one, for the first."""
    rng, unit = np.random.default_rng(7), _unit(integrator)
    matrices = [Matrix.random(rng, W4, outputs, INPUTS) for outputs in (8, 13)]
    images = [matrix.image(8, sums=False) for matrix in matrices]
    bases = (0, len(images[0][0]))
    words = np.concatenate([image for image, _ in images])

    async def check(ctx, program, matrix, vectors):
        tiles, counters = images[matrix][1], unit.counters
        fires = np.array([np.concatenate(v.fires) for v in vectors]).any(axis=0)
        assert ctx.get(counters.rows_read) == tiles * fires.sum()
        found = await program.outputs(tiles, len(vectors))
        for vector, outputs in zip(vectors, found, strict=True):
            expected = matrices[matrix].product(vector)
            assert list(outputs[: len(expected)]) == list(expected)

    async def bench(ctx):
        program = Program(ctx, unit)
        ctx.set(unit.beside, 1)
        for share in (0.8, 0.2):
            x = rng.integers(-32767, 32768, (3, INPUTS))
            x[rng.random(x.shape) >= share] = 0
            encoded = [encode(vector, "companded") for vector in x]
            await program.write(x[0])
            await program.encode(0)
            await ctx.tick().until(unit.encoded)
            await program.write(x[1])
            await program.encode(1, join=True)
            if not chases:
                await ctx.tick().until(unit.encoded)
            await program.multiply(0, 1, tiles=images[0][1], base=bases[0])
            await ctx.tick().until(unit.multiplied)
            await check(ctx, program, 0, encoded[:2])
            await program.write(x[2])
            await program.multiply(0, 1, tiles=images[1][1], base=bases[1])
            await program.encode(2, bank=1)
            await ctx.tick().until(unit.multiplied)
            await check(ctx, program, 1, encoded[:2])
            await ctx.tick().until(unit.encoded)
            await program.multiply(2, 2, tiles=images[0][1], base=bases[0], bank=1)
            await ctx.tick().until(unit.multiplied)
            await check(ctx, program, 0, encoded[2:])
            assert [ctx.get(base) for base in unit.bases] == [v.base for v in encoded]
            assert not ctx.get(unit.busy)

    async def memory(ctx):
        await _serve(ctx, unit, words)

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory, background=True)
    simulator.run()
