"""The plain engine against the dot product, over its buses and nothing else."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.baseline.core import DenseCore, DenseParams
from hw.spec.codes import BLOCK
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig
from hw.spec.registers import REGISTERS
from tests.rtl.reference import Matrix, encode

LANES = 8
PARAMS = DenseParams(
    CoreConfig(lanes=LANES, memory_beats=2000, max_inputs=96, max_outputs=32, memory="axi")
)


class Host:
    """A bus master and a memory, both of which pause at random."""

    def __init__(self, ctx, core, rng):
        self.ctx, self.core, self.rng = ctx, core, rng

    async def write(self, name, value):
        ctx, core = self.ctx, self.core
        ctx.set(core.s_axil_awaddr, REGISTERS[name].address)
        ctx.set(core.s_axil_wdata, int(value) & 0xFFFFFFFF)
        ctx.set(core.s_axil_wstrb, 0xF)
        for port in (core.s_axil_awvalid, core.s_axil_wvalid, core.s_axil_bready):
            ctx.set(port, 1)
        await ctx.tick().until(core.s_axil_awready)
        ctx.set(core.s_axil_awvalid, 0)
        ctx.set(core.s_axil_wvalid, 0)
        (response,) = await ctx.tick().sample(core.s_axil_bresp).until(core.s_axil_bvalid)
        assert response == 0, name

    async def read(self, name):
        ctx, core = self.ctx, self.core
        ctx.set(core.s_axil_araddr, REGISTERS[name].address)
        ctx.set(core.s_axil_arvalid, 1)
        ctx.set(core.s_axil_rready, 1)
        await ctx.tick().until(core.s_axil_arready)
        ctx.set(core.s_axil_arvalid, 0)
        (value,) = await ctx.tick().sample(core.s_axil_rdata).until(core.s_axil_rvalid)
        return value

    async def multiply(self, x, matrix, tiles, base):
        await self.write("input_address", 0)
        for value in x:
            await self.write("input_data", value)
        await self.write("shape", len(x) | tiles << 16)
        await self.write("weight_base", base)
        await self.write("mode", matrix.weights.number << 4)
        await self.write("control", 1)
        while await self.read("status") & 1:
            pass
        assert await self.read("status") == 2
        await self.write("output_address", 0)
        words = [await self.read("output_data") for _ in range(2 * len(matrix.codes))]
        return np.array(words, np.uint32).view(np.int64)

    async def serve(self, words):
        """Answer bursts in order, beat by beat."""
        ctx, core = self.ctx, self.core
        while True:
            ctx.set(core.m_axi_arready, 1)
            while not ctx.get(core.m_axi_arvalid):
                await ctx.tick()
            address, beats = ctx.get(core.m_axi_araddr), ctx.get(core.m_axi_arlen)
            assert address // 4096 == (address + 4 * beats) // 4096
            await ctx.tick()
            ctx.set(core.m_axi_arready, 0)
            for beat in range(beats + 1):
                for _ in range(self.rng.integers(0, 4)):
                    await ctx.tick()
                ctx.set(core.m_axi_rvalid, 1)
                ctx.set(core.m_axi_rdata, int(words[address // 4 + beat]))
                ctx.set(core.m_axi_rlast, beat == beats)
                while not ctx.get(core.m_axi_rready):
                    await ctx.tick()
                await ctx.tick()
                ctx.set(core.m_axi_rvalid, 0)


@pytest.mark.parametrize(
    ("weights", "inputs", "outputs"), [(W4, 1, 3), (W4, 33, 8), (W4, 95, 17), (W8, 71, 9)]
)
def test_is_the_dot_product(weights, inputs, outputs):
    """Twice in a row, from a base at which bursts meet a page's end."""
    rng = np.random.default_rng(inputs)
    core = DenseCore(PARAMS)
    matrix = Matrix.random(rng, weights, outputs, inputs)
    image, tiles = matrix.image(LANES, sums=False)
    base = 1024 - 50
    words = np.concatenate([np.zeros(base, np.uint32), image])
    found = []

    async def bench(ctx):
        host = Host(ctx, core, rng)
        for scale in (32767, 90):
            x = rng.integers(-scale, scale + 1, inputs)
            x[32:40] = 0
            product = await host.multiply(x, matrix, tiles, base)
            found.append((product, matrix.product(encode(x, "integer", constant=0))))
        groups = tiles * -(-inputs // BLOCK)
        assert await host.read("rows_read") == groups * BLOCK
        assert await host.read("beats_read") == groups * weights.beats

    async def memory(ctx):
        await Host(ctx, core, rng).serve(words)

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory, background=True)
    simulator.run()
    for product, expected in found:
        assert list(product) == list(expected)
    assert len(found) == 2


def test_no_batches():
    config = CoreConfig(memory="axi", batch=2)
    with pytest.raises(ValueError, match="no batches; batch must be 1, not 2"):
        DenseParams(config)
