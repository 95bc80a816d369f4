# amaranth: UnusedElaboratable=no
"""A serial line in both directions."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from hw.link.uart import UARTReceiver, UARTTransmitter


def test_too_short_bits_are_refused():
    for kind in (UARTReceiver, UARTTransmitter):
        with pytest.raises(ValueError, match="at least 3 clock cycles a bit, not 2; lower"):
            kind(divisor=2)


@pytest.mark.parametrize("divisor", [3, 4, 7, 40])
def test_bytes_pass(divisor):
    """With and without pauses; and nothing comes before or after."""
    m = Module()
    m.submodules.sender = sender = UARTTransmitter(divisor=divisor)
    m.submodules.receiver = receiver = UARTReceiver(divisor=divisor)
    m.d.comb += receiver.line.eq(sender.line)
    rng = random.Random(divisor)
    octets = rng.sample(range(256), 256)[: 20 if divisor > 7 else 100]
    found = []

    async def send(ctx):
        for octet in octets:
            if rng.random() < 0.2:
                await ctx.tick().repeat(rng.randrange(1, 5 * divisor))
            ctx.set(sender.octets.payload, octet)
            ctx.set(sender.octets.valid, 1)
            await ctx.tick().until(sender.octets.ready)
            ctx.set(sender.octets.valid, 0)
        await ctx.tick().repeat(30 * divisor)

    async def receive(ctx):
        async for _, _, valid, octet in ctx.tick().sample(
            receiver.octets.valid, receiver.octets.payload
        ):
            if valid:
                found.append(octet)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_process(receive)
    simulator.run()
    assert found == octets


@pytest.mark.parametrize("off", [-0.03, 0.03])
def test_a_clock_a_little_off(off):
    """The sender's bits are 3 % longer or shorter than the receiver's."""
    divisor = 40
    receiver = UARTReceiver(divisor=divisor)
    octets, found = [0x00, 0xFF, 0x55, 0xAA, 0x7E], []

    async def send(ctx):
        now, length = 0.0, divisor * (1 + off)
        levels = [bit for o in octets for bit in (0, *(o >> i & 1 for i in range(8)), 1)]
        for index, level in enumerate(levels):
            ctx.set(receiver.line, level)
            until = (index + 1) * length
            await ctx.tick().repeat(round(until) - round(now))
            now = until
        await ctx.tick().repeat(2 * divisor)

    async def receive(ctx):
        async for _, _, valid, octet in ctx.tick().sample(
            receiver.octets.valid, receiver.octets.payload
        ):
            if valid:
                found.append(octet)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_process(receive)
    simulator.run()
    assert found == octets


def test_glitches_and_missing_stop_bits():
    divisor = 8
    receiver = UARTReceiver(divisor=divisor)
    found = []

    async def bench(ctx):
        async def level(value, cycles):
            ctx.set(receiver.line, value)
            for _ in range(cycles):
                await ctx.tick()
                if ctx.get(receiver.octets.valid):
                    found.append(ctx.get(receiver.octets.payload))

        async def octet(value, stop=1):
            for bit in (0, *(value >> i & 1 for i in range(8)), stop):
                await level(bit, divisor)

        await level(0, 2)  # a glitch
        await level(1, 5 * divisor)
        await octet(0x31)
        await octet(0x32, stop=0)
        await level(1, 12 * divisor)
        await octet(0x33)
        await level(1, 12 * divisor)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [0x31, 0x33]
