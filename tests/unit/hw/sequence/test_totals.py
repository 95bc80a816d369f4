"""Counters of a token: events of encodings, reads and cycles of products."""

import random

from amaranth.sim import Simulator

from hw.sequence.totals import Totals
from hw.spec.registers import COUNTERS, ENCODE_COUNTERS


def test_totals():
    """Each adds its own a cycle after its end, both at once too; a token begins with 0."""
    dut, rng = Totals(), random.Random(1)

    async def bench(ctx):
        expected, before = dict.fromkeys(COUNTERS, 0), {"encode": 0, "matvec": 0}
        for _ in range(200):
            clear = rng.random() < 0.05
            ended = {name: rng.randrange(2) for name in before}
            counters = {name: rng.randrange(1 << 31) for name in COUNTERS}
            ctx.set(dut.clear, clear)
            ctx.set(dut.ended, ended)
            ctx.set(dut.counters, counters)
            await ctx.tick()
            for name in COUNTERS:
                counts = before["encode" if name in ENCODE_COUNTERS else "matvec"]
                total = 0 if clear else expected[name] + counts * counters[name]
                expected[name] = total % (1 << 32)
                assert ctx.get(dut.totals[name]) == expected[name]
            before = ended

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
