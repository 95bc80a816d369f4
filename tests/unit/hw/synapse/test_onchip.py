"""On-chip synapse memory: the host's window and the core's port."""

import random

import pytest
from amaranth.sim import Simulator

from hw.bus.window import WINDOW_LATENCY
from hw.spec.cycles import MEMORY_LATENCY
from hw.spec.params import CoreConfig, CoreParams
from hw.synapse.onchip import OnChipMemory

BEATS = 45


def _run(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


async def _address(ctx, dut, address):
    ctx.set(dut.window.address, address)
    await ctx.tick()


@pytest.mark.parametrize("lanes", [1, 3, 8, 20, 24, 64])
def test_window_and_port(lanes):
    """Words go in and come out, the core reads whole beats; 20 and 24 lanes are 3 words a beat."""
    params = CoreParams(CoreConfig(lanes=lanes, memory_beats=BEATS, max_outputs=lanes))
    dut = OnChipMemory(params)
    draw = random.Random(lanes)
    words = [draw.getrandbits(32) for _ in range(BEATS * params.words_per_beat)]
    kept = []
    for start in range(0, len(words), params.words_per_beat):
        beat = sum(w << 32 * i for i, w in enumerate(words[start:][: params.words_per_beat]))
        kept.append(beat & (1 << params.beat_bits) - 1)

    async def bench(ctx):
        for address, word in enumerate(words):
            await _address(ctx, dut, address)
            assert ctx.get(dut.window.writable)
            ctx.set(dut.window.write, 1)
            ctx.set(dut.window.write_data, word)
            await ctx.tick()
            ctx.set(dut.window.write, 0)

        for address in draw.sample(range(len(words)), 60 if len(words) > 60 else len(words)):
            await _address(ctx, dut, address)
            await ctx.tick().repeat(WINDOW_LATENCY - 1)
            beat, word = divmod(address, params.words_per_beat)
            assert ctx.get(dut.window.readable)
            assert ctx.get(dut.window.read_data) == kept[beat] >> 32 * word & 0xFFFFFFFF

        ctx.set(dut.busy, 1)
        order = [draw.randrange(BEATS) for _ in range(100)]
        for cycle in range(len(order) + MEMORY_LATENCY):
            if cycle >= MEMORY_LATENCY:
                assert ctx.get(dut.read.data) == kept[order[cycle - MEMORY_LATENCY]]
            if cycle < len(order):
                ctx.set(dut.read.address, order[cycle])
                ctx.set(dut.read.en, 1)
            await ctx.tick()
        assert not ctx.get(dut.window.readable)

    _run(dut, bench)


def test_beyond_the_end():
    """A window past the memory neither reads nor writes, whatever the upper address bits."""
    params = CoreParams(CoreConfig(lanes=8, memory_beats=BEATS))
    dut = OnChipMemory(params)

    async def bench(ctx):
        for address in (BEATS, BEATS + 1, 64, 1 << 31):
            await _address(ctx, dut, address)
            assert not ctx.get(dut.window.writable)
            assert not ctx.get(dut.window.readable)

    _run(dut, bench)
