# amaranth: UnusedElaboratable=no
"""Managers behind the arbiter: every burst once, to its manager, and nobody waits for long."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from hw.bus.burst_reader import BurstReader
from hw.bus.read_arbiter import ReadArbiter
from tests.unit.hw.bus.memory import AxiMemory
from tests.unit.hw.sequence.cores import params

LONGEST = 4


class Bench:
    """Burst readers behind an arbiter, and device memory."""

    def __init__(self, bus, *, managers, seed=None, latency=1, ordered=True):
        core = params(bus, axi_id_width=3)
        self.octets = bus // 8
        self.arbiter = arbiter = ReadArbiter(core, managers=managers)
        self.memory = AxiMemory(arbiter.axi, seed=seed, latency=latency, ordered=ordered)
        self.readers = [BurstReader(core, longest=LONGEST, depth=16) for _ in range(managers)]
        self.module = m = Module()
        m.submodules.arbiter = arbiter
        for reader, port in zip(self.readers, arbiter.managers, strict=True):
            m.submodules += reader
            connect(m, reader.axi, port)

    def draw(self, rng):
        """Return address and beats of a burst."""
        beats = rng.randint(1, LONGEST)
        place = rng.randrange(4096 // self.octets - beats + 1)
        return rng.randrange(1 << 20) * 4096 + place * self.octets, beats

    def expect(self, bursts):
        """Return data and last of every beat."""
        return [
            (self._data(address + i * self.octets), i == beats - 1)
            for address, beats in bursts
            for i in range(beats)
        ]

    def _data(self, address):
        return sum(self.memory.octet(address + i) << 8 * i for i in range(self.octets))

    def send(self, reader, bursts, idle=None):
        """Return a bench that offers bursts."""

        async def bench(ctx):
            for address, beats in bursts:
                while idle is not None and idle.random() < 0.3:
                    await ctx.tick()
                ctx.set(reader.bursts.payload, {"address": address, "length": beats - 1})
                ctx.set(reader.bursts.valid, 1)
                await ctx.tick().until(reader.bursts.ready)
                ctx.set(reader.bursts.valid, 0)

        return bench

    def take(self, reader, seen, count, *, rng=None):
        """Return a bench that takes ``count`` beats."""

        async def bench(ctx):
            cycle = 0
            while len(seen) < count:
                ready = rng is None or rng.random() < 0.7
                ctx.set(reader.beats.ready, ready)
                if ready and ctx.get(reader.beats.valid):
                    beat = ctx.get(reader.beats.payload)
                    seen.append((cycle, (beat.data, beat.last)))
                await ctx.tick()
                cycle += 1
                assert cycle < 50_000

        return bench

    def run(self, *benches):
        """Simulate."""
        simulator = Simulator(self.module)
        simulator.add_clock(1e-8)
        simulator.add_process(self.memory.serve_reads)
        for bench in benches:
            simulator.add_testbench(bench)
        simulator.run()


@pytest.mark.parametrize("bus", [32, 128, 512])
@pytest.mark.parametrize("managers", [2, 3, 5])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "mixed"])
def test_all_arrives(bus, managers, ordered):
    rng = random.Random(bus + managers)
    test = Bench(bus, managers=managers, seed=bus, latency=20, ordered=ordered)
    benches, results = [], []
    for reader in test.readers:
        bursts, seen = [test.draw(rng) for _ in range(40)], []
        expected = test.expect(bursts)
        results.append((seen, expected))
        benches.append(test.send(reader, bursts, idle=rng))
        benches.append(test.take(reader, seen, len(expected), rng=rng))
    test.run(*benches)
    for seen, expected in results:
        assert [beat for _, beat in seen] == expected
    assert len(test.memory.read) == sum(len(expected) for _, expected in results)
    assert test.memory.due == 0 and test.memory.refused == 0


@pytest.mark.parametrize("number", [0, 2])
def test_burst_a_cycle(number):
    """Who is alone gets a burst of one beat in every cycle."""
    test = Bench(128, managers=3, latency=5)
    bursts, seen = [(16 * i, 1) for i in range(200)], []
    reader = test.readers[number]
    test.run(test.send(reader, bursts), test.take(reader, seen, 200))
    assert [beat for _, beat in seen] == test.expect(bursts)
    assert seen[-1][0] - seen[0][0] == 199


def test_turns():
    """Managers that always ask get the same share."""
    test = Bench(32, managers=3)
    benches, results = [], []
    for number, reader in enumerate(test.readers):
        bursts, seen = [(4096 * number + 4 * i, 1) for i in range(100)], []
        results.append(seen)
        benches += [test.send(reader, bursts), test.take(reader, seen, 100)]
    test.run(*benches)
    assert all(300 <= seen[-1][0] <= 312 for seen in results)


@pytest.mark.parametrize(
    ("managers", "message"),
    [
        (3, "axi_id_width must be at least 2 where 3 managers share the bus, not 1; raise it"),
        (1, "managers must be at least 2, not 1; one needs no arbiter"),
    ],
)
def test_refusals(managers, message):
    with pytest.raises(ValueError, match=message):
        ReadArbiter(params(32, axi_id_width=1), managers=managers)
