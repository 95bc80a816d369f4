"""Output buffer: order of outputs, host words and the accumulator's fault."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.integrate.output_buffer import READ_LATENCY, OutputBuffer
from hw.spec.cycles import group_interval, lanes_per_stream
from hw.spec.formats import W8
from hw.spec.params import CoreConfig, CoreParams

TILES = 3


def _sign_extended(value):
    return value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF


@pytest.mark.parametrize("bit", [0, 38, 63])
def test_outputs(shape, simulate, bit):
    params, weights = shape
    rng = np.random.default_rng(params.lanes)
    width = params.accumulator_width
    outputs = weights.outputs(params.lanes)
    expected = rng.integers(-(1 << width - 1), 1 << width - 1, TILES * outputs)
    lanes = lanes_per_stream(params)
    slots = weights.outputs(lanes)
    struck = int(rng.integers(0, len(expected)))
    dut = OutputBuffer(params)
    words = []

    async def bench(ctx):
        ctx.set(dut.wide, weights is W8)
        ctx.set(dut.fault.kind, 2)
        ctx.set(dut.fault.bit, bit)
        ctx.set(dut.fault.index, struck)
        for _ in range(2):  # an instruction overwrites the one before
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for tile in range(TILES):
                values = expected[tile * outputs :][:outputs]
                for cycle in range(group_interval(params)):
                    slot = cycle // weights.lanes_per_output
                    valid = cycle < lanes and cycle % weights.lanes_per_output == 0
                    ctx.set(dut.valid, valid)
                    if valid:
                        ctx.set(dut.slot, slot)
                        ctx.set(dut.last, slot == slots - 1)
                        for stream, value in enumerate(values[slot::slots]):
                            ctx.set(dut.results[stream], int(value))
                    await ctx.tick()
            ctx.set(dut.valid, 0)
            await ctx.tick().repeat(params.lanes + 10)
        for address in range(2 * len(expected)):
            ctx.set(dut.address, address)
            await ctx.tick().repeat(3)
            words.append(ctx.get(dut.word))

    done = simulate(dut, bench, when=dut.tile_done, values=())
    assert len(done) == 2 * TILES
    flipped = int(expected[struck]) ^ (1 << bit % width)
    expected[struck] = (flipped + (1 << width - 1)) % (1 << width) - (1 << width - 1)
    assert words == [word for value in expected for word in _sign_extended(int(value))]


def test_columns_of_a_deep_buffer():
    """Every bit of words beyond one block RAM's depth comes back from its own column."""
    params = CoreParams(CoreConfig(lanes=1, max_outputs=1100))
    width = params.accumulator_width
    rng = np.random.default_rng(7)
    expected = [int(v) for v in rng.integers(-(1 << width - 1), 1 << width - 1, 1100)]
    dut = OutputBuffer(params)

    async def bench(ctx):
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.valid, 1)
        ctx.set(dut.last, 1)
        for value in expected:
            ctx.set(dut.results[0], value)
            await ctx.tick()
        ctx.set(dut.valid, 0)
        for number in (0, 1, 513, 1023, 1024, 1025, 1099):
            ctx.set(dut.address, 2 * number)
            await ctx.tick().repeat(READ_LATENCY)
            assert ctx.get(dut.accumulator) == expected[number], number

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
