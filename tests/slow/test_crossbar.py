"""Crossbars in RTL: the bundled model on every preset, and a thousand random products."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.crossbar import PRESETS
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams
from sw.compile.image import DeviceImage, compile_model, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.golden.codes import encode
from sw.golden.crossbar_linear import CrossbarMatrix
from sw.golden.matrix import Matrix
from sw.opening import golden_model, open_model, open_transport
from sw.verify import ComparingLinear
from tests.unit.golden.models import random_matrix

pytestmark = pytest.mark.slow

HOLDS = {name: p.replace(clip=not p.cells.holds(-8), seed=99) for name, p in PRESETS.items()}


@pytest.mark.parametrize("name", HOLDS)
def test_bundled_model(name):
    """Every accumulator and counter of 32 tokens; of the ideal preset all tables."""
    config = CONFIGS["mac8"].replace(integrator="spike", crossbar=HOLDS[name], lanes=2)
    config = config.replace(memory_beats=4 * config.memory_beats)
    params, model = CoreParams(config), open_model(None)
    transport = open_transport(params)
    tables = [t.name for t in TABLES.values() if t.linear] if name == "ideal" else ["companded"]
    try:
        for table in tables:
            device = Device(transport, params)
            device.load(compile_model(model, params, name="crossbar", table=table))
            linear = DeviceLinear(device, model, table=table)
            golden = golden_model(model, table=table, params=params)
            golden.linear = comparing = ComparingLinear(golden.golden, linear)
            golden.prefill(list(range(70, 102)) if table == "companded" else [70, 511])
            assert comparing.calls > 0 and linear.counters["conversions"] > 0
    finally:
        transport.close()


@pytest.mark.parametrize("name", ["matterhorn", "ye2023"])
def test_thousand_tiles(name):
    """Random tiles, tables and vectors, element by element."""
    params = CoreParams(
        CoreConfig(
            lanes=2, memory_beats=4096, max_inputs=96, max_outputs=8, integrator="spike",
            crossbar=HOLDS[name],
        )
    )  # fmt: skip
    rng, transport = np.random.default_rng(4), open_transport(params)
    tables = [t for t in TABLES.values() if t.linear and t.zero == 0]
    try:
        device, differs = Device(transport, params), 0
        for number in range(1000):
            matrix = random_matrix(rng, 2, int(rng.integers(1, 97)), (W4, W8)[number % 2])
            matrix = dataclasses.replace(matrix, codes=matrix.codes[: 2 // (1 + number % 2)],
                d=matrix.d[: 2 // (1 + number % 2)], b=matrix.b[: 2 // (1 + number % 2)],
                exponent=matrix.exponent[: 2 // (1 + number % 2)])  # fmt: skip
            image = DeviceImage(
                name="tile", source={}, configuration=f"{params.hash:016x}", table="companded",
                matrices={"tile": pack_matrix(matrix, 2)},
            )  # fmt: skip
            device.load(image)
            table = tables[number % len(tables)]
            x = rng.integers(-32767, 32768, matrix.inputs) >> rng.integers(0, 12, matrix.inputs)
            quantizer = Quantizer(constant=367, threshold=4, silent_level=0)
            result = device.matvec("tile", x, quantizer=quantizer, table=table.name)
            encoded = encode(torch.from_numpy(x), table=table, constant=367)
            placed = CrossbarMatrix(Matrix(matrix), params.crossbar, number=0, lanes=2)
            expected, _ = placed.matvec(encoded.unsqueezed())
            assert result.accumulators.tolist() == expected[0].tolist(), number
            differs += expected[0].tolist() != Matrix(matrix).matvec(encoded).tolist()
        assert differs > 500
    finally:
        transport.close()
