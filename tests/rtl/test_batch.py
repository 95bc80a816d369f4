"""Several vectors by one matrix: outputs, counters and cycles against the integer model."""

import itertools

import numpy as np
import pytest

from hw.spec.codes import TABLES
from hw.spec.cycles import accounted_cycles
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS
from hw.spec.registers import ENCODE_COUNTERS, Error
from hw.synapse import row_masks
from sim.memory import MemoryModel
from sw.compile.image import DeviceImage, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.driver.golden_transport import GoldenTransport
from tests.rtl.conftest import NARROW, WIDE, WIDE_BUS
from tests.rtl.reference import encode
from tests.unit.golden.models import random_matrix as weights_of

pytestmark = pytest.mark.rtl

MEMORY = MemoryModel(latency=3, jitter=9, seed=5)
CORES = {
    "narrow": NARROW.replace(batch=3, max_inputs=224, max_outputs=135),
    "wide": WIDE.replace(batch=4, max_inputs=224, max_outputs=520),
    "parts": WIDE_BUS.replace(batch=5, hole=3, max_outputs=320),
}


@pytest.fixture(scope="module", params=itertools.product(CORES, INTEGRATORS), ids="-".join)
def host(request, open_host):
    name, integrator = request.param
    return open_host(CORES[name].replace(integrator=integrator), MEMORY)


def _vectors(rng, count, inputs):
    """Vectors of any sparsity; some have a silent block where others have none."""
    vectors = np.rint(rng.laplace(0, 900, (count, inputs))).clip(-32767, 32767).astype(np.int64)
    for vector, share in zip(vectors, rng.permutation([1, 0.6, 0.3, 0.05, 0])[:count], strict=True):
        vector[rng.random(inputs) >= share] = 0
        silent = 32 * rng.integers(0, inputs // 32 + 1)
        vector[silent : silent + 32] = 0
    vectors[0, rng.integers(0, inputs)] = 32767
    return vectors


def _encode(host, vector, number, *, alone):
    """Start with one more vector; return the counters and its base exponent."""
    host.window("input", 0, vector & 0xFFFFFFFF)
    mode = host.read("mode") & 0xFF
    host.write("mode", mode | number << 8 | alone << 14)
    host.write("control", 1)
    host.wait()
    assert host.status() == {"busy": 0, "done": 1, "error": 0}
    return host.counters(), host.read("scale_base")


def _prepare(host, matrix, table, *, base=0, threshold=4):
    params, entry = host.params, TABLES[table]
    sums = entry.silent_level != entry.zero
    image, tiles = matrix.image(params.lanes, sums=sums, parts=params.sub_tiles)
    host.transport.load(base * params.beat_bits // 8, image)
    host.write("shape", matrix.codes.shape[1] | tiles << 16)
    host.write("weight_base", base)
    host.write("mode", table=entry.number, format=matrix.weights.number, sums=sums)
    host.write("quantizer", constant=367, threshold=threshold, silent=entry.silent_level)
    return tiles


def _outputs(host, matrix, count, tiles):
    """Outputs of every vector: a tile's come for one vector after the other."""
    size = matrix.weights.outputs(host.params.tile_lanes)
    words = host.outputs(tiles * count * size).reshape(tiles, count, size)
    return words.transpose(1, 0, 2).reshape(count, -1)[:, : len(matrix.codes)]


def _multiply(host, matrix, vectors, table, **options):
    """Check a whole batch, and return its counters."""
    params, weights, count = host.params, matrix.weights, len(vectors)
    tiles = _prepare(host, matrix, table, **options)
    options.pop("base", None)
    silent = TABLES[table].silent_level
    encoded = [encode(vector, table, silent=silent, **options) for vector in vectors]
    before = host.transport.memory_counts()
    for number, vector in enumerate(vectors):
        alone = number + 1 < count
        counters, base = _encode(host, vector, number, alone=alone)
        expected = encoded[number].counters
        assert {name: counters[name] for name in ENCODE_COUNTERS} == expected
        assert base == encoded[number].base
        if alone:
            assert host.transport.memory_counts().beats == before.beats
    after = host.transport.memory_counts()
    assert after.beats - before.beats == host.bus_beats(counters)
    assert after.violations == 0

    got = _outputs(host, matrix, count, tiles)
    for number, vector in enumerate(encoded):
        assert list(got[number]) == list(matrix.product(vector))
    fires = np.array([np.concatenate(vector.fires) for vector in encoded]).any(axis=0)
    blocks = [fires[i : i + 32] for i in range(0, len(fires), 32)]
    masks = [row_masks.model(list(block), params.hole) for block in blocks]
    passes = tiles * params.sub_tiles
    rows = passes * int(fires.sum())
    sums = TABLES[table].zero != silent
    stalls = sum(value for name, value in counters.items() if name.startswith("stall_"))
    items = [item for vector in encoded for item in vector.items(params.integrator)]
    assert counters["rows_read"] == rows
    assert counters["beats_read"] == rows + passes * len(blocks) * weights.head_beats(sums=sums)
    assert counters["beats_hole"] == passes * sum(mask.holes for mask in masks)
    assert counters["cycles"] == accounted_cycles(
        params, weights, tiles, items, stalls=stalls, sums=sums
    )
    return counters


@pytest.mark.parametrize("table", ["companded", "ttfs8", "signed16"])
def test_batches(host, random_matrix, table):
    """From one vector to a full batch, of odd sizes, several batches in turn."""
    params = host.params
    rng = np.random.default_rng(TABLES[table].number)
    for inputs, weights in itertools.product((1, 33, 95, 200), (W4, W8)):
        count = int(rng.integers(1, params.batch + 1))
        most = params.max_outputs // params.batch // params.tile_lanes * params.tile_lanes
        outputs = int(rng.integers(1, most))
        outputs = min(outputs, weights.outputs(params.tile_lanes) * 2 - 1)
        matrix = random_matrix(rng, weights, outputs, inputs)
        base = params.alignment * int(rng.integers(0, 300 // params.alignment))
        _multiply(host, matrix, _vectors(rng, count, inputs), table, base=base)
        full = _vectors(rng, params.batch, inputs)
        _multiply(host, matrix, full, table, threshold=int(rng.integers(0, 30)))


def test_rows_are_read_once(host, random_matrix):
    """A batch of equal vectors reads what one of them does."""
    rng = np.random.default_rng(9)
    matrix = random_matrix(rng, W4, host.params.tile_lanes + 3, 150)
    vector = _vectors(rng, 1, 150)
    one = _multiply(host, matrix, vector, "companded")
    several = _multiply(host, matrix, vector.repeat(host.params.batch, axis=0), "companded")
    for counter in ("rows_read", "beats_read", "beats_hole"):
        assert several[counter] == one[counter]


def test_errors(host, random_matrix):
    """A vector beyond the batch is refused; after an error or an abort a batch begins anew."""
    params = host.params
    rng = np.random.default_rng(8)
    matrix, vectors = random_matrix(rng, W4, 5, 70), _vectors(rng, 3, 70)
    _multiply(host, matrix, vectors, "companded")
    mode = host.read("mode") & 0xFF
    host.write("mode", mode | params.batch << 8)
    host.write("control", 1)
    host.wait()
    assert host.status()["error"] == Error.MODE
    host.write("mode", mode | 1 << 14)
    for delay in (0, 30, 90):
        host.write("control", 1)
        host.transport.tick(delay)
        host.write("control", 2)
        host.wait()
        assert host.status() == {"busy": 0, "done": 0, "error": 0}
        _multiply(host, matrix, vectors, "companded")
        host.write("mode", mode | 1 << 14)
    host.write("mode", mode | 2 << 8)
    host.transport.fail(3, 2)
    host.write("control", 1)
    host.wait()
    assert host.status() == {"busy": 0, "done": 0, "error": Error.RESPONSE}
    _multiply(host, matrix, vectors, "companded")


def test_driver(host):
    """The driver's batches, of a core and of one that is made of software."""
    params = host.params
    rng = np.random.default_rng(4)
    weights = {f.name: weights_of(rng, 2 * params.tile_lanes + 7, 70, f) for f in (W4, W8)}
    image = DeviceImage(
        name="test",
        source={},
        configuration=f"{params.hash:016x}",
        table="companded",
        matrices={
            name: pack_matrix(matrix, params.lanes, parts=params.sub_tiles)
            for name, matrix in weights.items()
        },
    )
    vectors = np.concatenate([_vectors(rng, count, 70) for count in (3, 3)])[: params.batch + 1]
    quantizer = Quantizer(constant=367, threshold=4, silent_level=0)
    results = []
    for transport in (host.transport, GoldenTransport(params)):
        device = Device(transport, params)
        device.load(image)
        results.append(
            [device.matmul(n, vectors, quantizer=quantizer, table="companded") for n in weights]
        )
    for core, golden in zip(*results, strict=True):
        assert np.array_equal(core.accumulators, golden.accumulators)
        assert core.bases == golden.bases
        for name in (*ENCODE_COUNTERS, "rows_read", "beats_read", "beats_hole"):
            assert core.counters[name] == golden.counters[name]


def test_faults(host, random_matrix):
    """A struck event changes its vector's outputs only, a struck accumulator one output."""
    params = host.params
    rng = np.random.default_rng(6)
    matrix = random_matrix(rng, W4, 2 * params.tile_lanes, 70)
    vectors = np.maximum(_vectors(rng, 3, 70), 300)
    tiles = _prepare(host, matrix, "companded")
    size = params.tile_lanes
    for kind, struck in ((1, 0), (1, 1), (1, 2), (2, 4 * size + 3)):
        found = []
        for faulty in (False, True):
            for number, vector in enumerate(vectors):
                if faulty and (kind == 2 or number == struck):
                    host.write("fault", kind=kind, bit=3, index=9 if kind == 1 else struck)
                _encode(host, vector, number, alone=number < 2)
                host.write("fault", 0)
            found.append(_outputs(host, matrix, 3, tiles))
        changed = np.argwhere(found[0] != found[1])
        if kind == 1:
            assert len(changed) and set(changed[:, 0]) == {struck}
        else:  # the second tile's, of the second of three vectors
            assert changed.tolist() == [[1, size + 3]]
