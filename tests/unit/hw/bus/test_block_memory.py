"""Device memory on chip: what was written is read, by the core and by the host."""

import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi4 import INCR
from hw.bus.block_memory import BANK, DECERR, BlockMemory, banks
from tests.unit.hw.sequence.cores import params

WORDS = 88


class Bench:
    """A memory, its manager and its host, and what it should hold."""

    def __init__(self, bus, *, seed):
        core = params(bus, memory_beats=WORDS * bus // 32)
        self.dut = BlockMemory(core)
        self.octets, self.rng = bus // 8, random.Random(seed)
        self.size = self.dut.words * self.octets
        self.model = bytearray(self.size)

    def word(self, address, count):
        """Return what is there; 0 beyond."""
        return int.from_bytes(self.model[address : address + count], "little")

    async def host(self, ctx, address, data=None):
        """Access a word; return the word, or None if that is refused."""
        port = self.dut.host
        ctx.set(port.valid, 1)
        ctx.set(port.write, data is not None)
        ctx.set(port.address, address)
        ctx.set(port.data, data or 0)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)
        answer, refused = await ctx.tick().sample(port.answer, port.refused).until(port.answered)
        return None if refused else answer

    async def write(self, ctx, address, beats):
        """Write a burst of (data, strobe); return the response."""
        axi, rng = self.dut.writes, self.rng
        number = rng.randrange(16)
        fields = {"addr": address, "len": len(beats) - 1, "id": number, "burst": INCR}
        for name, value in fields.items():
            ctx.set(getattr(axi, f"aw{name}"), value)
        ctx.set(axi.awvalid, 1)
        await ctx.tick().until(axi.awready)
        ctx.set(axi.awvalid, 0)
        ctx.set(axi.awid, number ^ 1)
        for index, (data, strobe) in enumerate(beats):
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(axi.wdata, data)
            ctx.set(axi.wstrb, strobe)
            ctx.set(axi.wlast, index + 1 == len(beats))
            ctx.set(axi.wvalid, 1)
            await ctx.tick().until(axi.wready)
            ctx.set(axi.wvalid, 0)
        while rng.random() < 0.3:
            await ctx.tick()
        ctx.set(axi.bready, 1)
        response, told = await ctx.tick().sample(axi.bresp, axi.bid).until(axi.bvalid)
        ctx.set(axi.bready, 0)
        assert told == number
        return response

    def draw_write(self):
        """Return address and beats of a burst, and put them into the model."""
        rng, octets = self.rng, self.octets
        count = rng.randint(1, 5)
        address = octets * rng.randrange(self.dut.words + 2)
        beats = [(rng.getrandbits(8 * octets), rng.getrandbits(octets)) for _ in range(count)]
        for index, (data, strobe) in enumerate(beats):
            for octet in range(octets):
                place = address + index * octets + octet
                if strobe >> octet & 1 and place < self.size:
                    self.model[place] = data >> 8 * octet & 0xFF
        beyond = address + count * octets > self.size
        return address, beats, DECERR if beyond else 0

    async def read(self, ctx, bursts):
        """Ask for bursts (address, beats), and expect their beats in order."""
        axi = self.dut.reads
        for address, count in bursts:
            for name, value in (("addr", address), ("len", count - 1), ("id", count)):
                ctx.set(getattr(axi, f"ar{name}"), value)
            ctx.set(axi.arvalid, 1)
            await ctx.tick().until(axi.arready)
            ctx.set(axi.arvalid, 0)

    async def collect(self, ctx, bursts, *, pauses):
        """Compare the beats of bursts with the model; return the cycles that this took."""
        axi, cycles = self.dut.reads, 0
        for address, count in bursts:
            for index in range(count):
                while pauses and self.rng.random() < 0.4:
                    ctx.set(axi.rready, 0)
                    await ctx.tick()
                ctx.set(axi.rready, 1)
                while True:
                    _, _, valid, *found = await ctx.tick().sample(
                        axi.rvalid, axi.rdata, axi.rresp, axi.rid, axi.rlast
                    )
                    cycles += 1
                    if valid:
                        break
                data, response, number, last = found
                place = address + index * self.octets
                assert (number, last) == (count, index + 1 == count)
                if place >= self.size:
                    assert response == DECERR
                else:
                    assert (response, data) == (0, self.word(place, self.octets))
        ctx.set(axi.rready, 0)
        return cycles

    def run(self, *benches):
        """Simulate."""
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        for bench in benches:
            simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("bus", [32, 128])
@pytest.mark.parametrize("seed", [1, 2])
def test_core_and_host(bus, seed):
    """Bursts with strobes, words of the host, and reads by both, also beyond the end."""
    test = Bench(bus, seed=seed)
    rng = test.rng

    async def bench(ctx):
        for _ in range(30):
            match rng.randrange(4):
                case 0:
                    address, beats, response = test.draw_write()
                    assert await test.write(ctx, address, beats) == response
                case 1:
                    address, data = 4 * rng.randrange(test.size // 4), rng.getrandbits(32)
                    test.model[address : address + 4] = data.to_bytes(4, "little")
                    assert await test.host(ctx, address, data) is not None
                case 2:
                    address = 4 * rng.randrange(test.size // 4)
                    assert await test.host(ctx, address) == test.word(address, 4)
                case _:
                    beyond = test.size + 4 * rng.randrange(8)
                    assert await test.host(ctx, beyond, rng.choice((None, 5))) is None
            burst = test.octets * rng.randrange(test.dut.words), rng.randint(1, 6)
            await test.read(ctx, [burst])
            await test.collect(ctx, [burst], pauses=True)
        for _ in range(20):
            assert not ctx.get(test.dut.reads.rvalid)
            await ctx.tick()

    test.run(bench)
    assert any(test.model)


@pytest.mark.parametrize("pauses", [False, True])
def test_bursts_follow_each_other(pauses):
    """A beat a cycle while the manager takes them, and none is lost when it does not."""
    test = Bench(32, seed=7)
    bursts = [(4 * test.rng.randrange(40), test.rng.randint(1, 16)) for _ in range(12)]
    beats = sum(count for _, count in bursts)
    taken = []

    async def fill_and_read(ctx):
        for place in range(test.dut.words):
            data = test.rng.getrandbits(32)
            test.model[4 * place : 4 * place + 4] = data.to_bytes(4, "little")
            await test.host(ctx, 4 * place, data)
        await test.read(ctx, bursts)

    async def collect(ctx):
        await ctx.tick().until(test.dut.reads.arvalid)
        taken.append(await test.collect(ctx, bursts, pauses=pauses))

    test.run(fill_and_read, collect)
    if not pauses:
        assert taken[0] < beats + 10


def test_the_host_waits_while_the_core_reads():
    """Both get their words."""
    test = Bench(32, seed=9)
    bursts = [(0, 15), (60, 15)]

    async def bench(ctx):
        for place in range(40):
            data = test.rng.getrandbits(32)
            test.model[4 * place : 4 * place + 4] = data.to_bytes(4, "little")
            await test.host(ctx, 4 * place, data)
        await test.read(ctx, bursts)
        assert await test.host(ctx, 8) == test.word(8, 4)

    async def collect(ctx):
        await ctx.tick().until(test.dut.reads.arvalid)
        await test.collect(ctx, bursts, pauses=False)

    test.run(bench, collect)


def test_banks():
    """Powers of two, in falling order, so that low address bits address each."""
    assert banks(5) == [5]
    assert banks(77824) == [BANK] * 4 + [BANK // 2, BANK // 4]
    for words in (2048, 5000, 77824, 81919):
        found = banks(words)
        assert sum(found) == words and sorted(found, reverse=True) == found
        starts = [sum(found[:i]) for i in range(len(found))]
        assert all(start % depth == 0 for start, depth in zip(starts[:-1], found[:-1], strict=True))
