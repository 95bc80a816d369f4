"""Crossbars in RTL: the bundled model on every preset, and a thousand random products."""

import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.configs import CONFIGS
from hw.spec.crossbar import PRESETS
from hw.spec.params import CoreParams
from sw.compile.image import compile_model
from sw.crossbar import fitted
from sw.driver.device import Device
from sw.driver.linear import DeviceLinear
from sw.golden.linear import GoldenLinear
from sw.opening import golden_model, open_device, open_model, open_transport
from sw.verify import ComparingLinear
from tests.rtl.test_crossbar import check_products
from tests.unit.golden.test_crossbar import WORST

pytestmark = pytest.mark.slow

HOLDS = {name: p.replace(clip=not p.cells.holds(-8), seed=99) for name, p in PRESETS.items()}


@pytest.mark.parametrize("rows", [32, 256])
@pytest.mark.parametrize("name", HOLDS)
def test_bundled_model(name, rows):
    """Every accumulator and counter of 32 tokens; of the ideal preset all tables."""
    crossbar = HOLDS[name].replace(rows=rows)
    config = CONFIGS["mac8"].replace(integrator="spike", crossbar=crossbar, lanes=2)
    config = config.replace(memory_beats=4 * config.memory_beats)
    params, model = CoreParams(config), fitted(open_model(None), crossbar)
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


#: Exact cells in each mapping; converters that just hold every sum, and once sums over the window.
EXACT = {
    f"{crossbar.mapping}-{crossbar.signs}-{crossbar.readout}": crossbar
    for ideal in [PRESETS["ideal"]]
    for crossbar in (
        ideal.replace(signs="phases"),
        ideal.replace(mapping="offset"),
        ideal.replace(mapping="sliced", signs="phases"),
        ideal.replace(mapping="planes", signs="paired"),
        ideal.replace(readout="window"),
    )
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_cells_give_the_digital_product(name):
    """Every code table on every mapping: the product of the digital lanes, in hardware, too."""
    crossbar, lanes = EXACT[name], 2
    if crossbar.readout == "step":
        crossbar = crossbar.with_bits(crossbar.lossless_bits, 1)
    assert check_products(crossbar, lanes=lanes, products=96) == 0


def test_a_layer_of_smollm2():
    """Ten bits hold every sum of 32 rows: a layer's products are those of the digital lanes."""
    model = open_model("smollm2-135m")
    crossbar = PRESETS["ideal"].with_bits(10)
    params = CoreParams(CONFIGS["spike64"].replace(crossbar=crossbar))
    digital = GoldenLinear(model, table=TABLES[model.table])
    with open_device(model, params=params, config="spike64", table=model.table) as (device, _):
        golden = golden_model(model, table=model.table, params=params)
        comparing = ComparingLinear(golden.golden, device, only="layers.7.")

        def linear(name, matrix, x):
            found, base = comparing(name, matrix, x)
            assert torch.equal(torch.as_tensor(found), digital(name, matrix, x)[0]), name
            return found, base

        golden.linear = linear
        golden.prefill([504])
    assert comparing.calls == 4 and comparing.compared > 5000


#: Arrays of eight blocks: exact, with everything that can be wrong, with sums over the window.
TALL = {
    "exact": (PRESETS["ideal"].replace(rows=256).with_bits(13, 1), 0),
    "matterhorn": (HOLDS["matterhorn"].replace(rows=256), 300),
    "wires": (WORST.replace(rows=256, mapping="offset", signs="phases", pulses=1), 30),
    "window": (WORST.replace(rows=256, signs="phases", readout="window", pulses=1, wire=0), 30),
}


@pytest.mark.parametrize("name", TALL)
def test_tall_arrays(name):
    """As above, where one scale of activations and one of weights serve 256 rows."""
    crossbar, least = TALL[name]
    products = 1000 if name == "matterhorn" else 64
    differs = check_products(crossbar, lanes=2, products=products)
    assert differs >= least and (least or not differs)
