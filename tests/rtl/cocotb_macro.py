"""A macro's behavioural Verilog beside its serial emulation, under the same hands."""

from __future__ import annotations

import os
import random

import cocotb
from amaranth.lib import data
from cocotb.triggers import FallingEdge

from hw.spec.crossbar_cycles import step_cycles
from hw.synapse.crossbar.macro import program_layout
from sim.cocotb_axi import start_clock
from tests.rtl.test_macro import CROSSBARS, OUTPUTS

KINDS = ("serial", "wide")
STEPS = 60

#: Macros of the assembly.
MACROS = os.environ.get("FIRSTSPIKE_MACROS", "").split()


class Port:
    """Ports of one macro of the assembly."""

    def __init__(self, dut, prefix):
        self._dut, self._prefix = dut, prefix

    def __getattr__(self, name):
        return getattr(self._dut, f"{self._prefix}__{name}")


async def _write(dut, macro, payload):
    while not int(macro.program__ready.value):
        await FallingEdge(dut.clk)
    macro.program__payload.value = payload
    macro.program__valid.value = 1
    await FallingEdge(dut.clk)
    macro.program__valid.value = 0
    while not int(macro.acknowledge.value):
        await FallingEdge(dut.clk)
    return int(macro.pulses.value), int(macro.verified.value)


async def _step(dut, macro, lines):
    macro.lines.value = lines
    macro.integrate.value = 1
    await FallingEdge(dut.clk)
    macro.integrate.value = 0
    codes, cycles = [], 1
    while not int(macro.sampled.value):
        await FallingEdge(dut.clk)
        cycles += 1
    macro.lines.value = 0
    while int(macro.busy.value) or int(macro.valid.value):
        if int(macro.valid.value):
            codes.append(int(macro.codes.value))
        await FallingEdge(dut.clk)
        cycles += 1
    return codes, cycles


@cocotb.test()
@cocotb.parametrize(name=MACROS)
async def same(dut, name):
    """Random cells, then random steps of several windows."""
    crossbar, outputs = CROSSBARS[name], OUTPUTS
    rng = random.Random(cocotb.RANDOM_SEED)
    macros = [Port(dut, f"{name}_{kind}") for kind in KINDS]
    for macro in macros:
        for port in ("program__valid", "integrate", "opens", "lines"):
            getattr(macro, port).value = 0
        macro.matrix.value, macro.array.value, macro.column.value = 3, 7, 1000
    await start_clock(dut)
    dut.rst.value = 0
    await FallingEdge(dut.clk)
    layout: data.StructLayout = program_layout(crossbar, outputs)
    for number, (r, c, cell) in enumerate(crossbar.cells.cells):
        shared = crossbar.cells.readings[r].columns[c].shared
        for row in range(crossbar.rows):
            for second in range(crossbar.polarities):
                for output in range(1 if shared else outputs):
                    level = rng.randrange(cell.largest + 1)
                    place = {"row": row, "second": second, "output": output, "cell": number}
                    payload = layout.const({**place, "level": level}).as_bits()
                    found = [await _write(dut, macro, payload) for macro in macros]
                    assert found[0] == found[1], place
    seen = set()
    for step in range(STEPS):
        if step % 7 == 0:
            for macro in macros:
                macro.opens.value = 1
            await FallingEdge(dut.clk)
            for macro in macros:
                macro.opens.value = 0
        share = rng.choice([0, 0.1, 0.5, 1])
        signs = [rng.random() < share and rng.choice([1, 2]) for _ in range(crossbar.rows)]
        lines = sum(1 << row + crossbar.rows * (s - 1) for row, s in enumerate(signs) if s)
        found = [await _step(dut, macro, lines) for macro in macros]
        assert found[0][0] == found[1][0], step
        seen |= set(found[1][0])
        phases = len(set(signs) - {False}) if crossbar.phases == 2 else int(any(signs))
        turns = phases * crossbar.columns_per_converter * len(crossbar.cells.readings)
        assert len(found[1][0]) == turns
        if turns:  # from the pulse to the cycle after the last codes
            assert found[1][1] == step_cycles(crossbar, phases) + 2
    assert len(seen) > STEPS // 4
