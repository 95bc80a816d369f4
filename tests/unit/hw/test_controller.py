"""The controller's phases and the instruction check, without a datapath."""

import pytest
from amaranth.sim import Simulator

from hw.controller import Controller
from hw.instruction import InstructionCheck
from hw.spec.codes import TABLES
from hw.spec.cycles import CHECK
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import Error


def _run(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_phases():
    """Launch once, done with the last tile; cycles count exactly while busy."""
    dut = Controller()

    async def bench(ctx):
        ctx.set(dut.tiles, 3)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        busy, launches = 0, 0
        for cycle in range(60):
            ctx.set(dut.tile_done, cycle in (30, 38, 50))
            busy += ctx.get(dut.busy)
            launches += ctx.get(dut.launch)
            assert ctx.get(dut.done) == (cycle > 50)
            await ctx.tick()
        assert (busy, launches) == (51, 1)
        assert ctx.get(dut.cycles) == busy

    _run(dut, bench)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, Error.NONE),
        ({"inputs": 96, "weight_base": 300 - 108}, Error.NONE),
        ({"inputs": 96, "weight_base": 300 - 107}, Error.MEMORY),
        ({"inputs": 96, "wide": 1, "weight_base": 300 - 99}, Error.NONE),
        ({"inputs": 96, "wide": 1, "weight_base": 300 - 98}, Error.MEMORY),
        ({"inputs": 97}, Error.INPUTS),
        ({"inputs": 0xFFFF}, Error.INPUTS),
        ({"inputs": 0}, Error.INPUTS),
        ({"tiles": 0}, Error.OUTPUTS),
        ({"tiles": 2}, Error.NONE),
        ({"tiles": 3}, Error.OUTPUTS),
        ({"tiles": 4, "wide": 1}, Error.NONE),
        ({"tiles": 5, "wide": 1}, Error.OUTPUTS),
        ({"tiles": 0x8001}, Error.OUTPUTS),
        ({"inputs": 96, "sums": 1, "weight_base": 300 - 120}, Error.NONE),
        ({"inputs": 96, "sums": 1, "weight_base": 300 - 119}, Error.MEMORY),
        ({"inputs": 96, "sums": 1, "wide": 1, "weight_base": 300 - 111}, Error.NONE),
        ({"inputs": 96, "sums": 1, "wide": 1, "weight_base": 300 - 110}, Error.MEMORY),
        ({"table": TABLES["ttfs"].number}, Error.MODE),
        ({"table": TABLES["ttfs"].number, "sums": 1}, Error.NONE),
        ({"table": TABLES["ttfs"].number, "sums": 1, "silent_level": 1}, Error.MODE),
        ({"table": TABLES["ttfs8"].number, "sums": 1}, Error.NONE),
        ({"table": TABLES["ttfs8"].number, "sums": 1, "codes": 1}, Error.MODE),
        ({"table": TABLES["mttfs"].number, "silent_level": 8}, Error.NONE),
        ({"table": TABLES["mttfs"].number, "silent_level": 7}, Error.MODE),
        ({"table": TABLES["mttfs"].number, "silent_level": 15, "sums": 1}, Error.NONE),
        ({"table": TABLES["mttfs"].number, "silent_level": 16, "sums": 1}, Error.MODE),
        ({"table": TABLES["fp4"].number, "silent_level": 1}, Error.MODE),
        ({"codes": 1}, Error.NONE),
        ({"table": TABLES["octave"].number, "codes": 1}, Error.NONE),
        ({"table": TABLES["octave"].number}, Error.MODE),
        ({"table": TABLES["octave"].number, "fixed": 1}, Error.NONE),
        ({"table": TABLES["ttfs8"].number, "sums": 1, "fixed": 1}, Error.MODE),
        ({"table": TABLES["integer"].number}, Error.NONE),
        ({"table": 9}, Error.MODE),
    ],
)
def test_check(changes, error):
    """Limits of 6 lanes, 300 beats, 96 inputs and 14 outputs."""
    config = CoreConfig(lanes=6, memory_beats=300, max_inputs=96, max_outputs=14)
    dut = InstructionCheck(CoreParams(config))

    async def bench(ctx):
        for name, value in {"inputs": 32, "tiles": 1, **changes}.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == error

    _run(dut, bench)


@pytest.mark.parametrize("base", [0, 1, 2, 3, 4, 6])
def test_weights_begin_with_a_bus_beat(base):
    config = CoreConfig(lanes=8, tile_lanes=32, memory="axi", axi_data_width=128)
    dut = InstructionCheck(CoreParams(config))

    async def bench(ctx):
        for name, value in {"inputs": 32, "tiles": 1, "weight_base": base}.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == (Error.MEMORY if base % 4 else Error.NONE)

    _run(dut, bench)


@pytest.mark.parametrize(
    ("table", "level", "silent"),
    [("ttfs8", 0, -128), ("ttfs", 0, -8), ("mttfs", 15, 7), ("mttfs", 8, 0), ("companded", 0, 0)],
)
def test_silent_value(table, level, silent):
    dut = InstructionCheck(CoreParams(CoreConfig()))

    async def bench(ctx):
        ctx.set(dut.table, TABLES[table].number)
        ctx.set(dut.silent_level, level)
        await ctx.tick()
        assert ctx.get(dut.silent) == silent

    _run(dut, bench)


def test_odd_lanes_refuse_bytes():
    dut = InstructionCheck(CoreParams(CoreConfig(lanes=3)))

    async def bench(ctx):
        for name in ("inputs", "tiles", "wide"):
            ctx.set(getattr(dut, name), 1)
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == Error.MODE

    _run(dut, bench)
