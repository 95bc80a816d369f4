"""Crossbars in RTL: the bundled model on every preset, and a thousand random products."""

import pytest

from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.crossbar import PRESETS
from hw.spec.params import CoreParams
from sw.compile.image import compile_model
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.opening import golden_model, open_model, open_transport
from sw.verify import ComparingLinear
from tests.rtl.test_crossbar import check_products

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
    assert check_products(HOLDS[name], lanes=2, products=1000) > 300
