"""Bench of the core under cocotb: only its ports are touched, the golden model is the reference."""

from __future__ import annotations

import cocotb

from hw.spec.codes import TABLES
from hw.spec.formats import FORMATS, W4
from hw.spec.registers import REGISTERS, Access, Error, registers_of
from tests.rtl.cocotb_host import CONFIG, REFUSED, Host, generator
from tests.rtl.cocotb_instruction import Instruction

#: Code tables with elements as inputs, and with decoded codes.
MODES = [(table.name, False) for table in TABLES.values() if table.linear]
MODES += [(table.name, True) for table in TABLES.values() if table.zero == 0]


@cocotb.test()
@cocotb.parametrize(layout=list(FORMATS), inputs=[1, 31, 33, 95])
async def shapes(dut, layout, inputs):
    """Partial blocks and tiles of both formats."""
    rng = generator(1, inputs)
    async with Host.open(dut, rng) as host:
        rows = int(rng.choice([1, 3, 7, 11, 17]))
        await Instruction(rng, inputs, rows, layout).run(host)


@cocotb.test()
@cocotb.parametrize((("table", "codes"), MODES))
async def tables(dut, table, codes):
    """Every code table, of elements and of decoded codes."""
    rng = generator(2, MODES.index((table, codes)))
    async with Host.open(dut, rng) as host:
        inputs, rows = (int(n) for n in rng.integers(1, (70, 10)))
        layout = str(rng.choice(list(FORMATS)))
        await Instruction(rng, inputs, rows, layout, table, codes).run(host)


@cocotb.test()
async def refused_instructions(dut):
    """Each has its error and leaves the outputs alone; the next right instruction runs."""
    rng = generator(3)
    async with Host.open(dut, rng) as host:
        right = Instruction(rng, 33, 5)
        await right.run(host)
        tiles, most = len(right.image), CONFIG.max_outputs // W4.outputs(CONFIG.lanes)
        cases = [
            ("shape", 0 | tiles << 16, Error.INPUTS),
            ("shape", CONFIG.max_inputs + 1 | tiles << 16, Error.INPUTS),
            ("shape", 33 | 0 << 16, Error.OUTPUTS),
            ("shape", 33 | most + 1 << 16, Error.OUTPUTS),
            ("weight_base", CONFIG.memory_beats - right.beats + 1, Error.MEMORY),
            ("weight_base", 0xFFFFFFFF, Error.MEMORY),
            ("mode", TABLES["ttfs"].number, Error.MODE),  # m != z, and no row sums
            ("mode", TABLES["octave"].number, Error.MODE),  # has decoded codes only
            ("mode", 15, Error.MODE),
        ]
        outputs = await host.outputs(CONFIG.max_outputs)
        for register, value, error in cases:
            mended = await host.read(register)
            await host.write(register, value)
            await host.write("control", start=1)
            await host.wait()
            assert await host.status() == {"busy": 0, "done": 0, "error": error}
            assert await host.outputs(CONFIG.max_outputs) == outputs
            await host.write(register, mended)
        await host.write("control", start=1)
        await right.check(host)


@cocotb.test()
async def start_while_busy(dut):
    """A second start changes nothing but the error; the synapse memory cannot be read."""
    rng = generator(4)
    async with Host.open(dut, rng) as host:
        long = Instruction(rng, 95, 61)
        await long.load(host)
        await host.write("control", start=1)
        await host.write("control", start=1)
        assert await host.status() == {"busy": 1, "done": 0, "error": Error.BUSY}
        response = await host.access(REGISTERS["memory_data"].address)
        assert (response.resp, response.data) == (REFUSED, bytes(4))
        assert (await host.status())["busy"]
        await long.check(host, {"busy": 0, "done": 1, "error": Error.BUSY})


@cocotb.test()
@cocotb.parametrize(most=[0, 60, 400, 1500])
async def reset_by_register(dut, most):
    """An aborted instruction can be started again; memories keep their words."""
    rng = generator(5, most)
    async with Host.open(dut, rng) as host:
        long = Instruction(rng, 95, 37, str(rng.choice(list(FORMATS))))
        await long.load(host)
        await host.write("control", start=1)
        await host.tick(int(rng.integers(most + 1)))
        await host.write("control", reset=1)
        await host.wait()  # for open bursts
        assert await host.status() == {"busy": 0, "done": 0, "error": Error.NONE}
        await host.write("control", start=1)
        await long.check(host)


@cocotb.test()
@cocotb.parametrize(most=[60, 1500])
async def reset_by_pin(dut, most):
    """Whatever is on the bus is forgotten, and the registers are as they were in the beginning."""
    rng = generator(6, most)
    async with Host.open(dut, rng) as host:
        names = [name for name, r in registers_of(crossbar=False).items() if r.access is Access.RW]
        fresh = [await host.read(name) for name in names]
        await Instruction(rng, 95, 37).load(host)
        await host.write("control", start=1)
        await host.tick(int(rng.integers(most + 1)))
        await host.reset()
        assert await host.status() == {"busy": 0, "done": 0, "error": Error.NONE}
        assert [await host.read(name) for name in names] == fresh
        await Instruction(rng, 33, 7, "w8").run(host)
