"""Tiles in memory that are wider than the core, against the integer model, bit for bit."""

import itertools

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS, CoreConfig
from sim.memory import MemoryModel
from sw.compile.image import DeviceImage, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.golden.codes import encode
from sw.golden.matrix import Matrix
from tests.rtl.conftest import WIDE_BUS
from tests.unit.golden.models import random_matrix as weights_of

pytestmark = pytest.mark.rtl

ONCHIP = CoreConfig(lanes=8, memory_beats=4500, max_inputs=224, max_outputs=90)
CORES = {
    "onchip-2": CoreConfig(lanes=3, tile_lanes=6, memory_beats=2000, max_inputs=96, max_outputs=31),
    "onchip-4": ONCHIP.replace(tile_lanes=32),
    "axi-2": ONCHIP.replace(tile_lanes=16, memory="axi", hole=3, ring_groups=5),
    "axi-4": WIDE_BUS,
}
MEMORY = MemoryModel(latency=3, jitter=9, seed=5)


@pytest.fixture(params=itertools.product(CORES, INTEGRATORS), ids="-".join)
def host(request, open_host):
    name, integrator = request.param
    config = CORES[name].replace(integrator=integrator)
    return open_host(config, MEMORY if config.memory == "axi" else None)


def _vector(rng, inputs, share=1.0):
    x = np.clip(rng.laplace(0, 900, inputs), -32767, 32767).astype(np.int64)
    x[rng.random(inputs) >= share] = 0
    x[rng.integers(0, inputs)] = 32767
    x[32:64] = 0
    return x


def test_sizes(host, random_matrix):
    """Partial tiles, parts and groups, with row sums and without, cycles and reads counted."""
    params = host.params
    formats = [f for f in (W4, W8) if params.lanes % f.lanes_per_output == 0]
    rng = np.random.default_rng(2)
    for inputs, weights in itertools.product((1, 33, 95), formats):
        per_tile = weights.outputs(params.tile_lanes)
        for outputs in (1, per_tile, per_tile + per_tile // params.sub_tiles + 1):
            matrix = random_matrix(rng, weights, outputs, inputs)
            x = _vector(rng, inputs, rng.random())
            base = params.alignment * int(rng.integers(0, 300 // params.alignment))
            host.check(matrix, x, "companded", base=base)
            host.check(matrix, x, "ttfs8", silent=0, threshold=23)
            host.check(matrix, 0 * x, "fp4")


def test_driver(host):
    """The driver loads such tiles, in parts where memory is small, and finds a weight's bit."""
    params = host.params
    rng = np.random.default_rng(params.tile_lanes)
    device = Device(host.transport, params)
    layouts = [f for f in (W4, W8) if params.lanes % f.lanes_per_output == 0]
    weights = {f.name: weights_of(rng, 2 * params.tile_lanes + 7, 70, f) for f in layouts}
    packed = {
        name: pack_matrix(matrix, params.lanes, parts=params.sub_tiles)
        for name, matrix in weights.items()
    }
    configuration = f"{params.hash:016x}"
    device.load(
        DeviceImage(
            name="test", source={}, configuration=configuration, table="companded", matrices=packed
        )
    )
    x = _vector(rng, 70)
    quantizer = Quantizer(constant=367, threshold=4, silent_level=0)
    encoded = encode(torch.from_numpy(x), table=TABLES["companded"], constant=367, threshold=4)
    for name, matrix in weights.items():
        right = Matrix(matrix).matvec(encoded).numpy()
        result = device.matvec(name, x, quantizer=quantizer, table="companded")
        assert np.array_equal(result.accumulators, right)
        row = params.tile_lanes + 2
        device.flip_weight_bit(name, row, int(np.abs(x).argmax()), matrix.format.lanes_per_output)
        result = device.matvec(name, x, quantizer=quantizer, table="companded")
        assert list(np.flatnonzero(result.accumulators != right)) == [row]
