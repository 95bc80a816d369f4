"""Requests out of bytes: the same as the integer model finds, and only those."""

import random

import pytest
from amaranth.sim import Simulator

from hw.link.deframer import PLACES, Deframer
from hw.spec.link import FLAG, LONGEST, REQUEST_HEAD, frame
from hw.spec.link import Deframer as Model


def run(octets, *, gap=300, patience=0, seed=0):
    """Return the requests that are found in bytes.

    A byte comes in every cycle or later; behind a flag is a gap, in which a request can be taken.
    """
    dut, rng = Deframer(), random.Random(seed)
    found = []

    async def send(ctx):
        for octet in octets:
            ctx.set(dut.octets.payload, octet)
            ctx.set(dut.octets.valid, 1)
            await ctx.tick()
            ctx.set(dut.octets.valid, 0)
            while rng.random() < 0.2:
                await ctx.tick()
            if octet == FLAG and gap:
                await ctx.tick().repeat(gap)
        await ctx.tick().repeat(PLACES * (LONGEST + 20))
        assert not ctx.get(dut.requests.valid)

    async def take(ctx):
        while True:
            await ctx.tick()
            if not ctx.get(dut.requests.valid):
                continue
            for _ in range(rng.randrange(1 + patience)):
                await ctx.tick()
            length = ctx.get(dut.requests.payload.length)
            ctx.set(dut.place, ctx.get(dut.requests.payload.place))
            content = []
            for offset in range(length):
                ctx.set(dut.offset, offset)
                await ctx.tick()
                content.append(ctx.get(dut.octet))
            found.append(bytes(content))
            ctx.set(dut.requests.ready, 1)
            await ctx.tick()
            ctx.set(dut.requests.ready, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take, background=True)
    simulator.run()
    return found


def draw(rng):
    """Return a content, often one with much to escape."""
    length = rng.choice((REQUEST_HEAD, REQUEST_HEAD + 4, 40, LONGEST))
    special = rng.random() < 0.3
    return bytes(rng.choice((0x7D, 0x7E)) if special else rng.randrange(256) for _ in range(length))


@pytest.mark.parametrize("seed", range(2))
def test_requests_between_garbage(seed):
    rng = random.Random(seed)
    contents, octets = [draw(rng) for _ in range(6)], b""
    for content in contents:
        if rng.random() < 0.5:
            octets += rng.randbytes(rng.randrange(20))
        octets += frame(content)
    assert run(octets, seed=seed) == contents


@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes(seed):
    """What the integer model finds in damaged bytes is found, and nothing else."""
    rng = random.Random(seed)
    octets = bytearray(b"".join(frame(draw(rng)) for _ in range(12)))
    for _ in range(10):
        place = rng.randrange(len(octets))
        match rng.randrange(3):
            case 0:
                del octets[place]
            case 1:
                octets.insert(place, octets[place])
            case _:
                octets[place] ^= 1 << rng.randrange(8)
    expected = [c for c in Model().feed(bytes(octets)) if REQUEST_HEAD <= len(c) <= LONGEST]
    assert run(octets, seed=seed) == expected and expected


def test_too_short_too_long_aborted():
    contents = [bytes(REQUEST_HEAD - 1), bytes(LONGEST + 4), b"abcdefgh"]
    octets = b"".join(map(frame, contents))
    aborted = frame(b"ABCDEFGH")[:-1] + b"\x7d\x7e"
    assert run(octets + aborted + frame(b"12345678")) == [b"abcdefgh", b"12345678"]


def test_without_places_requests_are_lost_whole():
    """A slow taker loses frames, never parts of them, and order stays."""
    contents = [bytes((i,)) * REQUEST_HEAD for i in range(40)]
    found = run(b"".join(map(frame, contents)), gap=0, patience=200, seed=1)
    assert set(found) < set(contents) and sorted(found) == found and len(found) > PLACES


def test_flags_alone_are_nothing():
    assert run(bytes((FLAG,)) * 20) == []
