"""Answers as bytes."""

import random

import pytest
from amaranth.sim import Simulator

from hw.link.framer import Framer
from hw.spec.link import ANSWER_HEAD, PAYLOAD, frame


@pytest.mark.parametrize("seed", range(2))
def test_frames(seed):
    """Answers of all lengths over a line that pauses."""
    rng = random.Random(seed)
    contents = [
        bytes(rng.choice((0x7D, 0x7E, 0, rng.randrange(256))) for _ in range(length))
        for length in (ANSWER_HEAD, ANSWER_HEAD + 1, ANSWER_HEAD + 4, ANSWER_HEAD + PAYLOAD)
    ]
    rng.shuffle(contents)
    dut, sent = Framer(), []
    now = []

    async def offer(ctx):
        for place, content in enumerate(contents):
            now[:] = [content]
            ctx.set(dut.answers.payload, {"place": place, "length": len(content)})
            ctx.set(dut.answers.valid, 1)
            await ctx.tick().until(dut.answers.ready)
            ctx.set(dut.answers.valid, 0)
            await ctx.tick().repeat(rng.randrange(1, 5))
        await ctx.tick().repeat(50)

    async def memory(ctx):
        async for _, _, offset in ctx.tick().sample(dut.offset):
            content = now[0] if now else b""
            ctx.set(dut.octet, content[offset] if offset < len(content) else 0xEE)

    async def line(ctx):
        async for _, _, valid, ready, octet in ctx.tick().sample(
            dut.octets.valid, dut.octets.ready, dut.octets.payload
        ):
            if valid and ready:
                sent.append(octet)
            ctx.set(dut.octets.ready, rng.random() < 0.5)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(offer)
    simulator.add_process(memory)
    simulator.add_process(line)
    simulator.run()
    assert bytes(sent) == b"".join(map(frame, contents))
