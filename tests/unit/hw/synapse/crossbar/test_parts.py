"""Parts of a crossbar against their integer models."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.spec.crossbar import PRESETS, IdealConverter, UniformConverter
from hw.synapse.crossbar import adc, array, device, noise
from hw.synapse.crossbar.adc import Converter
from hw.synapse.crossbar.array import LOSS_LATENCY, ColumnCurrent
from hw.synapse.crossbar.device import ProgrammedCell
from hw.synapse.crossbar.noise import DEVIATE_LATENCY, SAMPLE_LATENCY, Deviate, Sample
from tests.unit.golden.test_crossbar import WORST

ITEMS = 40


def _stream(dut, inputs, outputs, latency):
    """Give a set of inputs each cycle; return the outputs of each, so many cycles later."""
    got = []

    async def bench(ctx):
        for number in range(ITEMS + latency):
            for name, values in inputs.items():
                ctx.set(getattr(dut, name), values[number % ITEMS])
            await ctx.tick()
            if number + 1 >= latency and number + 1 - latency < ITEMS:
                got.append(tuple(ctx.get(getattr(dut, name)) for name in outputs))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def _words(rng, count=3):
    return [[int(w) for w in rng.integers(0, 1 << 32, ITEMS)] for _ in range(count)]


def test_samples_and_deviates():
    rng = np.random.default_rng(1)
    keys = _words(rng)
    for kind, latency in ((Sample, SAMPLE_LATENCY), (Deviate, DEVIATE_LATENCY)):
        dut = kind(seed=0x9E3779B9)
        ports = dict(zip(("key", "c0", "c1"), keys, strict=True))
        words = [noise.model(0x9E3779B9, *key) for key in zip(*keys, strict=True)]
        if kind is Sample:
            assert _stream(dut, ports, ("x0", "x1"), latency) == words
        else:
            expected = [(noise.deviate_model(word),) for word in words]
            assert _stream(dut, ports, ("deviate",), latency) == expected


@pytest.mark.parametrize(
    "crossbar",
    [
        WORST.replace(stuck_low=0.2, stuck_high=0.2),
        WORST.replace(mapping="offset"),
        PRESETS["ye2023"],
        WORST.replace(programming_sigma=0.0),
    ],
    ids=lambda crossbar: crossbar.mapping,
)
def test_cells(crossbar):
    rng = np.random.default_rng(2)
    cell = crossbar.cells.cells[0][2]
    dut = ProgrammedCell(crossbar, cell)
    weights, lines = rng.integers(-8, 8, ITEMS).tolist(), rng.integers(0, 2, ITEMS).tolist()
    c0, c1 = _words(rng, 2)
    expected = [
        (device.model(-w if n else w, cell, crossbar.device, seed=crossbar.seed, place=place)[0],)
        for w, n, *place in zip(weights, lines, c0, c1, strict=True)
    ]
    inputs = {"weight": weights, "negative": lines, "c0": c0, "c1": c1}
    latency = device.latency(crossbar.device)
    assert _stream(dut, inputs, ("conductance",), latency) == expected
    assert len(set(expected)) > 3


@pytest.mark.parametrize(
    "converter",
    [
        IdealConverter(),
        UniformConverter(bits=6),
        UniformConverter(bits=4, step=14 * 256, value=14, nearest=False),
        UniformConverter(bits=7, step=773, value=3, offset=-77, gain=4000),
    ],
    ids=lambda converter: converter.text,
)
@pytest.mark.parametrize("bipolar", [False, True])
def test_converters(converter, bipolar):
    rng = np.random.default_rng(3)
    dut = Converter(converter, width=20, bipolar=bipolar)
    values = rng.integers(-(1 << 17), 1 << 17, ITEMS)
    values[::3] >>= 7
    values[:6] = [-(1 << 19), (1 << 19) - 1, -128, 127, 128, 0]
    expected = [(adc.model(v, converter, signed=bipolar),) for v in values.tolist()]
    got = _stream(dut, {"current": values.tolist()}, ("value",), adc.LATENCY)
    assert got == expected


@pytest.mark.parametrize("wire", [0.0, 2e-5, 1e-3])
def test_bit_line(wire):
    rng = np.random.default_rng(4)
    crossbar = PRESETS["ideal"].replace(wire=wire)
    dut = ColumnCurrent(crossbar, crossbar.cells.readings[0].columns[0])
    taps = array.taps(crossbar)
    parts = [
        (rng.integers(0, 8 * 8 * 256, taps) >> rng.integers(0, 9)).tolist() for _ in range(ITEMS)
    ]
    parts[0] = [8 * 8191] * taps
    expected = [(array.model(part, crossbar),) for part in parts]
    assert _stream(dut, {"parts": parts}, ("current",), LOSS_LATENCY) == expected
    assert wire < 1e-3 or expected[0] == (0,)
