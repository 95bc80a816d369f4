import random

import pytest
from amaranth.sim import Simulator

from hw.encode.slice import Slice


@pytest.mark.parametrize(("idle", "busy"), [(0, 0), (0, 0.5), (0.5, 0), (0.4, 0.4)])
def test_order_and_rate(idle, busy):
    """Nothing is lost, changed while it waits, or added; without waits it is one a cycle."""
    dut = Slice(8)
    rng = random.Random(1)
    items = [rng.randrange(256) for _ in range(200)]
    taken, waiting = [], list(items)

    async def bench(ctx):
        held = None
        for cycle in range(1000):
            offers = bool(waiting) and (ctx.get(dut.source.valid) or rng.random() >= idle)
            ctx.set(dut.source.valid, offers)
            if offers:
                ctx.set(dut.source.payload, waiting[0])
                if ctx.get(dut.source.ready):
                    waiting.pop(0)
            ctx.set(dut.target.ready, rng.random() >= busy)
            valid, item = ctx.get(dut.target.valid), ctx.get(dut.target.payload)
            assert held is None or (valid and item == held)
            held = item if valid and not ctx.get(dut.target.ready) else None
            if valid and held is None:
                taken.append((cycle, item))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert [item for _, item in taken] == items
    if not idle and not busy:
        assert [cycle for cycle, _ in taken] == list(range(1, len(items) + 1))
