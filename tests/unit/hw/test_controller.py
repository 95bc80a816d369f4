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


def _give(ctx, dut, instruction, fields):
    """Set fields of what is to be multiplied or encoded, by the names of the tables below."""
    places = {"wide": "mode.format", "silent_level": "quantizer.silent"}
    places |= {name: f"mode.{name}" for name in ("table", "codes", "fixed", "sums")}
    for name, value in fields.items():
        place = getattr(dut, instruction)
        for part in places.get(name, name).split("."):
            place = place[part]
        ctx.set(place, value)


def test_phases():
    """Both begin once, done with the last tile; cycles count exactly while busy."""
    dut = Controller()

    async def bench(ctx):
        ctx.set(dut.tiles, 3)
        for port in (dut.start, dut.encode, dut.stored):
            ctx.set(port, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.encode, 0)
        busy, begun = 0, [0, 0]
        for cycle in range(60):
            ctx.set(dut.tile_done, cycle in (30, 38, 50))
            busy += ctx.get(dut.busy)
            begun[0] += ctx.get(dut.begin_encode)
            begun[1] += ctx.get(dut.begin_product)
            assert ctx.get(dut.done) == (cycle > 50)
            assert ctx.get(dut.multiplied) == (cycle > 50)
            ctx.set(dut.stored, cycle < CHECK + 1 or cycle >= 20)
            assert ctx.get(dut.encoded) == (cycle > 20)
            await ctx.tick()
        assert (busy, begun) == (51, [1, 1])
        assert ctx.get(dut.cycles) == busy

    _run(dut, bench)


@pytest.mark.parametrize("first", ["encode", "start"])
def test_one_beside_the_other(first):
    """Each ends by itself; the cycles are those of the product."""
    dut = Controller()
    other = "start" if first == "encode" else "encode"

    async def bench(ctx):
        ctx.set(dut.beside, 1)
        ctx.set(dut.stored, 1)
        ctx.set(dut.tiles, 1)
        begun = {"begin_encode": [], "begin_product": []}
        for cycle in range(60):
            ctx.set(getattr(dut, first), cycle == 0)
            ctx.set(getattr(dut, other), cycle == 7)
            began = 0 if first == "encode" else 7
            ctx.set(dut.stored, not began + CHECK + 1 < cycle < 30)
            ctx.set(dut.tile_done, cycle == 40)
            for name, cycles in begun.items():
                if ctx.get(getattr(dut, name)):
                    cycles.append(cycle - CHECK - 1)
            assert ctx.get(dut.busy) == (0 < cycle <= 40)
            assert ctx.get(dut.encoded) == (not began < cycle <= 30)
            assert ctx.get(dut.multiplied) == (not 7 - began < cycle <= 40)
            await ctx.tick()
        assert begun == {"begin_encode": [began], "begin_product": [7 - began]}
        assert ctx.get(dut.done)
        assert ctx.get(dut.cycles) == 40 - (7 - began)
        assert ctx.get(dut.error) == Error.NONE

    _run(dut, bench)


@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize("again", ["encode", "start"])
def test_refusals_while_busy(again, beside):
    """Without ``beside`` nothing may join; with it, not what runs already."""
    dut = Controller()

    async def bench(ctx):
        ctx.set(dut.beside, beside)
        ctx.set(dut.tiles, 1)
        for cycle in range(20):
            ctx.set(dut.start, cycle == 0 or (again == "start" and cycle == 10))
            ctx.set(dut.encode, again == "encode" and cycle == 10)
            await ctx.tick()
        refused = again == "start" or not beside
        assert ctx.get(dut.error) == (Error.BUSY if refused else Error.NONE)
        assert ctx.get(dut.encoded) == refused
        assert not ctx.get(dut.multiplied)

    _run(dut, bench)


@pytest.mark.parametrize("product", [False, True])
def test_refused_by_the_check(product):
    dut = Controller()

    async def bench(ctx):
        ctx.set(dut.encode, 1)
        ctx.set(dut.start, product)
        ctx.set(dut.refused, Error.INPUTS)
        await ctx.tick()
        ctx.set(dut.encode, 0)
        ctx.set(dut.start, 0)
        assert ctx.get(dut.checks_product) == product
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == Error.INPUTS
        assert ctx.get(dut.encode_refused) == (not product)
        for port in (dut.encoded, dut.multiplied):
            assert ctx.get(port)
        for port in (dut.busy, dut.done, dut.begin_encode, dut.begin_product):
            assert not ctx.get(port)

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
        ctx.set(dut.product, 1)
        ctx.set(dut.encoding.as_value(), ~0)  # does not matter
        _give(ctx, dut, "command", {"inputs": 32, "tiles": 1, **changes})
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == error

    _run(dut, bench)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, Error.NONE),
        ({"inputs": 96, "wide": 1}, Error.NONE),
        ({"inputs": 97}, Error.INPUTS),
        ({"inputs": 0}, Error.INPUTS),
        ({"inputs": 96, "wide": 1, "sums": 1}, Error.MEMORY),
        ({"table": TABLES["ttfs"].number}, Error.MODE),
        ({"table": TABLES["mttfs"].number, "silent_level": 8}, Error.NONE),
        ({"vector": 3}, Error.NONE),
        ({"vector": 4}, Error.MODE),
    ],
)
@pytest.mark.parametrize("beside", [0, ~0])
def test_check_of_an_encoding(changes, error, beside):
    """What is to be multiplied does not matter; a tile of its inputs must fit 108 beats."""
    config = CoreConfig(
        lanes=8, memory_beats=108, max_inputs=96, max_outputs=32, batch=4, memory="axi"
    )
    dut = InstructionCheck(CoreParams(config))

    async def bench(ctx):
        ctx.set(dut.command.as_value(), beside)
        _give(ctx, dut, "encoding", {"inputs": 32, **changes})
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == error

    _run(dut, bench)


@pytest.mark.parametrize("base", [0, 1, 2, 3, 4, 6])
def test_weights_begin_with_a_bus_beat(base):
    config = CoreConfig(lanes=8, tile_lanes=32, memory="axi", axi_data_width=128)
    dut = InstructionCheck(CoreParams(config))

    async def bench(ctx):
        ctx.set(dut.product, 1)
        _give(ctx, dut, "command", {"inputs": 32, "tiles": 1, "weight_base": base})
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
        _give(ctx, dut, "command", {"table": TABLES[table].number, "silent_level": level})
        await ctx.tick()
        assert ctx.get(dut.silent) == silent

    _run(dut, bench)


def test_odd_lanes_refuse_bytes():
    dut = InstructionCheck(CoreParams(CoreConfig(lanes=3)))

    async def bench(ctx):
        ctx.set(dut.product, 1)
        _give(ctx, dut, "command", dict.fromkeys(("inputs", "tiles", "wide"), 1))
        await ctx.tick().repeat(CHECK)
        assert ctx.get(dut.error) == Error.MODE

    _run(dut, bench)
