"""The macro: cells that are written and verified, and steps that are read, as the golden model."""

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator

from hw.spec.codes import TABLES
from hw.spec.crossbar import PRESETS
from hw.synapse.crossbar import device
from hw.synapse.crossbar.macro import CrossbarMacro, check
from sw.golden.codes import from_codes
from sw.golden.crossbar import CrossbarArrays
from sw.golden.sums import windows
from tests.unit.golden.test_crossbar import WORST

CASES = {
    "worst": (WORST.replace(columns_per_converter=2, access=3), 4),
    "matterhorn": (PRESETS["matterhorn"].replace(columns_per_converter=1), 1),
    "whole columns": (WORST.replace(rows=256), 1),
}


class Host:
    """Writes cells, shows windows, adds codes up."""

    def __init__(self, ctx, dut, crossbar, outputs):
        self.ctx, self.dut, self.crossbar, self.outputs = ctx, dut, crossbar, outputs

    async def write(self, row, second, output, cell, level):
        ctx, dut = self.ctx, self.dut
        payload = {"row": row, "second": second, "output": output, "cell": cell, "level": level}
        ctx.set(dut.program.payload, payload)
        ctx.set(dut.program.valid, 1)
        while not ctx.get(dut.program.ready):
            await ctx.tick()
        await ctx.tick()
        ctx.set(dut.program.valid, 0)
        await ctx.tick().until(dut.acknowledge)
        return ctx.get(dut.pulses), ctx.get(dut.verified)

    async def program(self, weights):
        """Write every cell for weights of shape (rows, outputs); return the pulses of each."""
        mapping, found = self.crossbar.cells, []
        for row, values in enumerate(weights.tolist()):
            for second in range(self.crossbar.polarities):
                for number, (r, c, cell) in enumerate(mapping.cells):
                    shared = mapping.readings[r].columns[c].shared
                    for output, w in enumerate(values[:1] if shared else values):
                        level = cell.levels[(-w if second else w) + 8]
                        pulses = await self.write(row, second, output, number, level)
                        found.append(((row, second, output, number), pulses))
        return found

    async def step(self, signs):
        """Show one time step; return what each output adds, and the codes that came."""
        ctx, dut, crossbar = self.ctx, self.dut, self.crossbar
        planes = [sum(1 << r for r, s in enumerate(signs) if s == sign) for sign in (1, -1)]
        ctx.set(dut.lines, planes)
        ctx.set(dut.integrate, 1)
        await ctx.tick()
        ctx.set(dut.integrate, 0)
        totals, codes = [0] * self.outputs, 0
        while not ctx.get(dut.sampled):
            await ctx.tick()
        ctx.set(dut.lines, [0x5A5A, 0xFF])
        while ctx.get(dut.busy):
            if ctx.get(dut.valid):
                got = ctx.get(dut.codes)
                factor = crossbar.cells.readings[got.reading].factor
                for q, value in enumerate(got.values):
                    output = q * crossbar.columns_per_converter + got.turn
                    totals[output] += (-factor if got.phase else factor) * value
                    codes += 1
            await ctx.tick()
        return totals, codes


@pytest.mark.parametrize(
    ("crossbar", "outputs"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] if " " in name else [])
        for name, case in CASES.items()
    ],
)
def test_macro(crossbar, outputs):
    rng = np.random.default_rng(8)
    matrix, array, column = 5, 2, 3 * outputs
    dut = CrossbarMacro(crossbar, outputs=outputs)
    rows = crossbar.rows
    weights = rng.integers(-8, 8, (rows, outputs))
    whole = np.zeros(((array + 1) * rows, column + outputs), np.int64)
    whole[array * rows :, column:] = weights
    golden = CrossbarArrays(torch.from_numpy(whole), crossbar, number=matrix, lanes=outputs)
    codes = rng.integers(-9, 10, (1, rows)) * (rng.random((1, rows)) < 0.6)
    lone = np.concatenate([np.zeros((1, array * rows), np.int64), codes], 1)
    encoded = from_codes(torch.from_numpy(codes), table=TABLES["signed8"])
    shown = [levels.flatten() for levels in windows(encoded)]
    spread = from_codes(torch.from_numpy(lone), table=TABLES["signed8"])
    expected, activity = golden.group_sums(spread)

    async def bench(ctx):
        ctx.set(dut.matrix, matrix)
        ctx.set(dut.array, array)
        ctx.set(dut.column, column)
        host = Host(ctx, dut, crossbar, outputs)
        for (row, second, output, number), (pulses, _) in await host.program(weights):
            r, c, cell = crossbar.cells.cells[number]
            shared = crossbar.cells.readings[r].columns[c].shared
            w = int(weights[row, output])
            place = matrix << 16 | array * rows + row, (2 * number + second) << 24 | column + output
            wanted = device.model(
                -w if second else w, cell, crossbar.device, seed=crossbar.seed, place=place
            )
            assert shared or pulses == wanted[1]
        for repeat in range(2):
            ctx.set(dut.opens, 1)
            await ctx.tick()
            ctx.set(dut.opens, 0)
            totals, codes = np.zeros(outputs, np.int64), 0
            for levels in shown:
                totals *= 16
                for level in sorted({abs(v) for v in levels.tolist()} - {0}, reverse=True):
                    signs = [(v > 0) - (v < 0) if abs(v) == level else 0 for v in levels.tolist()]
                    more, converted = await host.step(signs)
                    totals += np.array(more) * level
                    codes += converted
            assert totals.tolist() == expected[array, 0, column:].tolist(), repeat
            assert codes == activity.readings * outputs
        assert await host.step([0] * rows) == ([0] * outputs, 0)
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.valid) and not ctx.get(dut.busy)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_refusals():
    for crossbar, outputs, elaboration, message in (
        (PRESETS["matterhorn"], 12, "serial", "outputs must be a multiple of 8 columns per conv"),
        (PRESETS["ideal"], 2, "big", "elaboration must be one of serial, instance, not 'big'"),
        (PRESETS["ideal"].replace(readout="window"), 2, "serial", "choose readout 'step'"),
    ):
        with pytest.raises(ValueError, match=message):
            check(crossbar, outputs=outputs, elaboration=elaboration)
