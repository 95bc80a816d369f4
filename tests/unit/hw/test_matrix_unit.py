"""The matrix unit as a program drives it: a batch is encoded once for several matrices."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.integrate.output_buffer import READ_LATENCY
from hw.matrix_unit import MatrixUnit
from hw.spec.codes import TABLES
from hw.spec.formats import W4
from hw.spec.params import INTEGRATORS, CoreConfig, CoreParams
from hw.spec.registers import REGISTERS
from tests.rtl.reference import Matrix, encode

VECTORS, INPUTS = 2, 40


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

    async def run(self, *, vector, tiles=1, base=0, encode=False, reuse=False):
        ctx, command = self.ctx, self.unit.command
        mode = {"table": TABLES["companded"].number, "format": W4.number}
        mode = REGISTERS["mode"].pack(**mode, vector=vector, encode=encode)
        ctx.set(command.mode.as_value(), mode)
        ctx.set(command.quantizer, {"constant": 367, "threshold": 4})
        for name, value in (
            ("inputs", INPUTS),
            ("tiles", tiles),
            ("weight_base", base),
            ("reuse", reuse),
        ):
            ctx.set(command[name], value)
        ctx.set(self.unit.start, 1)
        await ctx.tick()
        ctx.set(self.unit.start, 0)
        await ctx.tick().until(self.unit.done & ~self.unit.busy)
        assert ctx.get(self.unit.error) == 0

    async def outputs(self, tiles):
        """Accumulators of each vector."""
        found = np.zeros((tiles, VECTORS, 8), np.int64)
        for number in range(found.size):
            self.ctx.set(self.unit.address, 2 * number)
            await self.ctx.tick().repeat(READ_LATENCY)
            found.flat[number] = self.ctx.get(self.unit.accumulator)
        return found.transpose(1, 0, 2).reshape(VECTORS, -1)


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


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_reuse(integrator):
    """The second matrix takes the vectors as they are; a new batch replaces them."""
    rng, unit = np.random.default_rng(7), _unit(integrator)
    matrices = [Matrix.random(rng, W4, outputs, INPUTS) for outputs in (8, 13)]
    images = [matrix.image(8, sums=False) for matrix in matrices]
    bases = (0, len(images[0][0]))
    words = np.concatenate([image for image, _ in images])

    async def bench(ctx):
        program = Program(ctx, unit)
        for share in (0.8, 0.2):
            x = rng.integers(-32767, 32768, (VECTORS, INPUTS))
            x[rng.random(x.shape) >= share] = 0
            encoded = [encode(vector, "companded") for vector in x]
            await program.write(x[0])
            await program.run(vector=0, encode=True)
            await program.write(x[1])
            for number, matrix in enumerate(matrices):
                tiles = images[number][1]
                base = bases[number]
                await program.run(vector=1, tiles=tiles, base=base, reuse=number > 0)
                found = await program.outputs(tiles)
                for vector, outputs in zip(encoded, found, strict=True):
                    assert list(outputs[: len(matrix.codes)]) == list(matrix.product(vector))
                assert [ctx.get(unit.bases[v]) for v in range(VECTORS)] == [
                    vector.base for vector in encoded
                ]
                fires = np.array([np.concatenate(v.fires) for v in encoded]).any(axis=0)
                assert ctx.get(unit.counters.rows_read) == tiles * fires.sum()

    async def memory(ctx):
        await _serve(ctx, unit, words)

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory, background=True)
    simulator.run()
