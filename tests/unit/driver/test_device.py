"""The driver on a core made of software: images, residency, refusals."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import CoreConfig, CoreParams
from hw.spec.registers import REGISTERS
from sw.compile.image import DeviceImage, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.driver.golden_transport import GoldenTransport
from sw.driver.result import DeviceError
from sw.errors import UserError
from sw.golden.codes import encode
from sw.golden.matrix import Matrix
from tests.unit.golden.models import random_matrix

QUANTIZER = Quantizer(constant=367, threshold=4, silent_level=0)


def image_of(params: CoreParams, *, table="companded", sums=False, **matrices) -> DeviceImage:
    return DeviceImage(
        name="test",
        source={},
        configuration=f"{params.hash:016x}",
        table=table,
        matrices={
            name: pack_matrix(m, params.lanes, parts=params.sub_tiles, sums=sums)
            for name, m in matrices.items()
        },
    )


def params_of(**changes) -> CoreParams:
    config = CoreConfig(lanes=8, memory_beats=1024, max_inputs=128, max_outputs=64)
    return CoreParams(config.replace(**changes))


@pytest.mark.parametrize(
    ("lanes", "parts", "layout"),
    [
        (1, 1, W4),
        (3, 1, W4),
        (8, 1, W4),
        (20, 1, W4),
        (2, 1, W8),
        (8, 1, W8),
        (20, 1, W8),
        (5, 4, W4),
        (6, 2, W8),
    ],
)
@pytest.mark.parametrize(("rows", "inputs"), [(1, 1), (37, 33), (64, 128), (81, 95)])
@pytest.mark.parametrize(("table", "level"), [("companded", 0), ("mttfs", 7), ("mttfs", 8)])
def test_image_holds_the_matrix(lanes, parts, layout, rows, inputs, table, level):
    rng = np.random.default_rng([lanes, rows])
    params = params_of(lanes=lanes, tile_lanes=lanes * parts, memory_beats=64 * 40)
    weights = random_matrix(rng, rows, inputs, layout)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, m=weights, sums=level == 7))
    x = rng.integers(-32767, 32768, inputs)
    quantizer = Quantizer(constant=367, threshold=4, silent_level=level)
    result = device.matvec("m", x, quantizer=quantizer, table=table)
    encoded = encode(
        torch.from_numpy(x), table=TABLES[table], constant=quantizer.constant, silent_level=level
    )
    assert np.array_equal(result.accumulators, Matrix(weights).matvec(encoded).numpy())
    assert result.base == int(encoded.base)
    assert result.counters["spikes"] + result.counters["silent"] <= inputs


@pytest.mark.parametrize("layout", [W4, W8], ids=["w4", "w8"])
def test_row_sums_are_read(layout):
    """A bit of a row sum changes one output, by what it weighs."""
    params = params_of()
    weights = random_matrix(np.random.default_rng(3), 8, 40, layout)
    weights.d[:] = 3
    image = image_of(params, m=weights, sums=True, table="mttfs")
    x = np.zeros(40, int)
    quantizer = Quantizer(constant=367, threshold=4, silent_level=5)
    results = []
    for bit in (0, 1 << 4):
        image.matrices["m"].words[0, 1, layout.scale_beats, 0] ^= bit  # lane 0, group 1
        device = Device(GoldenTransport(params), params)
        device.load(image)
        results.append(device.matvec("m", x, quantizer=quantizer, table="mttfs").accumulators)
    change = results[1] - results[0]
    assert list(np.flatnonzero(change)) == [0] and abs(change[0]) == 16 * 3 * 3 * 4


@pytest.mark.parametrize("memory", ["onchip", "axi"])
def test_small_memory_is_refilled_and_results_stay(memory):
    rng = np.random.default_rng(7)
    params = params_of(memory_beats=200, memory=memory)
    first, second = random_matrix(rng, 40, 64), random_matrix(rng, 40, 64)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, first=first, second=second))
    x = rng.integers(-999, 1000, 64)
    results = [
        device.matvec(name, x, quantizer=QUANTIZER, table="companded").accumulators
        for name in ("first", "second", "first")
    ]
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])
    assert device.loaded_words == 3 * 5 * 2 * 36


def test_codes_of_one_vector_are_counted_once():
    params = params_of(memory_beats=80)
    weights = random_matrix(np.random.default_rng(1), 24, 33)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, m=weights))
    x = np.arange(1, 34) * 100
    counters = device.matvec("m", x, quantizer=QUANTIZER, table="companded").counters
    assert counters["spikes"] + counters["silent"] + counters["integer_events"] == 33
    assert counters["beats_read"] == counters["rows_read"] + 3 * 2 * 4


@pytest.mark.parametrize(("table", "sums"), [("companded", False), ("ttfs", True)])
def test_flipped_weight_bit_changes_its_output_only(table, sums):
    rng = np.random.default_rng(3)
    params = params_of()
    weights = random_matrix(rng, 21, 40, W8)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, m=weights, table=table, sums=sums))
    x = np.full(40, 500)
    before = device.matvec("m", x, quantizer=QUANTIZER, table=table).accumulators
    assert weights.d[13, 1], "the seed gave a scale of 0"
    device.flip_weight_bit("m", 13, 35, 6)
    after = device.matvec("m", x, quantizer=QUANTIZER, table=table).accumulators
    assert np.flatnonzero(before != after).tolist() == [13]


def test_another_core_is_refused():
    params = params_of()
    with pytest.raises(UserError, match="built for configuration .*--config"):
        Device(GoldenTransport(params), params_of(lanes=4))
    dead = GoldenTransport(params)
    dead._registers["magic"] = 0xFFFFFFFF
    with pytest.raises(UserError, match="no Firstspike core answers"):
        Device(dead, params)
    old = GoldenTransport(params)
    old._registers["version"] = REGISTERS["version"].pack(major=9)
    with pytest.raises(UserError, match="version 9.0"):
        Device(old, params)


def test_image_of_another_configuration_is_refused():
    params = params_of()
    device = Device(GoldenTransport(params), params)
    image = image_of(params_of(lanes=4), m=random_matrix(np.random.default_rng(0), 4, 32))
    with pytest.raises(UserError, match="compiled for configuration"):
        device.load(image)
    with pytest.raises(UserError, match="holds no model"):
        device.matvec("m", np.zeros(32), quantizer=QUANTIZER, table="companded")


@pytest.mark.parametrize(("table", "sums"), [("ttfs", False), ("companded", True)])
def test_image_for_another_table_is_refused(table, sums):
    params = params_of()
    device = Device(GoldenTransport(params), params)
    matrix = random_matrix(np.random.default_rng(0), 4, 32)
    device.load(image_of(params, table="mttfs", sums=sums, m=matrix))
    with pytest.raises(UserError, match=f"table mttfs, whose row sums do not.*--code {table}"):
        device.matvec("m", np.zeros(32), quantizer=QUANTIZER, table=table)


def test_refused_instruction_names_the_reason():
    params = params_of()
    device = Device(GoldenTransport(params), params)
    with pytest.raises(DeviceError, match="outputs"):
        device._execute(32, 0, 0)
    with pytest.raises(DeviceError, match="inputs"):
        device._execute(0, 1, 0)
    with pytest.raises(DeviceError, match="memory"):
        device._execute(128, 8, 0)


def test_weights_must_begin_with_a_bus_beat():
    params = params_of(tile_lanes=32, memory="axi", axi_data_width=128)
    device = Device(GoldenTransport(params), params)
    device._write("quantizer", REGISTERS["quantizer"].pack(constant=367))
    device._execute(32, 1, 4)
    with pytest.raises(DeviceError, match="memory"):
        device._execute(32, 1, 6)
