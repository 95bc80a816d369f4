"""Cores with external memory against the integer model, bit for bit, whatever the memory does."""

import itertools

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS
from hw.spec.registers import Error
from sim.memory import MemoryModel
from sw.compile.image import DeviceImage, pack_matrix
from sw.convert.container import Quantizer
from sw.driver.device import Device
from sw.errors import UserError
from sw.golden.codes import encode
from sw.golden.matrix import Matrix
from tests.rtl.conftest import NARROW, WIDE, WIDE_BUS
from tests.unit.golden.models import random_matrix as weights_of

pytestmark = pytest.mark.rtl

CORES = {"narrow": NARROW, "wide": WIDE, "wide-bus": WIDE_BUS}

MEMORIES = {
    "ideal": MemoryModel(),
    "slow": MemoryModel(latency=37, beat_interval=3, address_cost=5),
    "dram": MemoryModel(latency=20, granule=64, page=1024, row_miss=11),
    "jitter": MemoryModel(latency=3, jitter=9, seed=5),
}


@pytest.fixture(params=itertools.product(CORES, INTEGRATORS), ids="-".join)
def core(request):
    name, integrator = request.param
    return CORES[name].replace(integrator=integrator)


@pytest.fixture(params=INTEGRATORS)
def narrow(request):
    return NARROW.replace(integrator=request.param)


def _vector(rng, inputs, share=1.0):
    """Heavy-tailed inputs, some of them zero, with a block of zeros where there is room."""
    x = np.clip(rng.laplace(0, 900, inputs), -32767, 32767).astype(np.int64)
    x[rng.random(inputs) >= share] = 0
    x[rng.integers(0, inputs)] = 32767
    x[32:64] = 0
    return x


def _check(host, matrix, x, table="companded", **options):
    """Check an instruction, and that memory gave as many beats as the core counts."""
    before = host.transport.memory_counts()
    counters = host.check(matrix, x, table, **options)
    counts = host.transport.memory_counts()
    assert counts.beats - before.beats == host.bus_beats(counters)
    assert counts.violations == 0
    return counters


@pytest.mark.parametrize("memory", MEMORIES)
def test_memories(open_host, core, random_matrix, memory):
    """Any latency and rate, from full vectors to almost silent ones; the base is anywhere."""
    host = open_host(core, MEMORIES[memory])
    rng = np.random.default_rng(3)
    for share in (1.0, 0.7, 0.3, 0.05):
        for weights in (W4, W8):
            inputs = int(rng.integers(1, 225))
            outputs = int(rng.integers(1, core.lanes * 2 + 5))
            matrix = random_matrix(rng, weights, outputs, inputs)
            base = host.params.alignment * int(rng.integers(0, 500 // host.params.alignment))
            _check(host, matrix, _vector(rng, inputs, share), base=base)


def test_waits_are_counted(open_host, narrow, random_matrix):
    """A slow memory costs cycles and ``stall_memory``, and nothing else changes."""
    rng = np.random.default_rng(4)
    matrix, x = random_matrix(rng, W4, 29, 200), _vector(rng, 200)
    fast = _check(open_host(narrow, MEMORIES["ideal"]), matrix, x)
    slow = _check(open_host(narrow, MEMORIES["slow"]), matrix, x)
    assert slow["cycles"] > 2 * fast["cycles"]
    assert slow["stall_memory"] > slow["cycles"] // 2 > fast["stall_memory"]


@pytest.mark.parametrize("response", [2, 3], ids=["slverr", "decerr"])
@pytest.mark.parametrize("memory", ["ideal", "dram", "jitter"])
def test_error_responses(open_host, core, random_matrix, memory, response):
    """Whichever beat fails, the instruction stops with the code and the next one is right."""
    host = open_host(core, MEMORIES[memory])
    rng = np.random.default_rng(response)
    matrix, x = random_matrix(rng, W4, core.lanes + 3, 150), _vector(rng, 150, 0.8)
    beats = host.bus_beats(_check(host, matrix, x))
    for beat in (0, beats - 1, *rng.integers(0, beats, 6)):
        host.transport.fail(int(beat), response)
        image, tiles = matrix.image(core.lanes, sums=False, parts=host.params.sub_tiles)
        host.start(x, image, tiles, W4, "companded")
        host.wait(20_000)
        assert host.status() == {"busy": 0, "done": 0, "error": Error.RESPONSE}
        _check(host, matrix, x)


def test_beyond_the_memory(open_host, random_matrix):
    """The core refuses what its own parameters forbid, before it asks."""
    host = open_host(NARROW)
    rng = np.random.default_rng(1)
    matrix, x = random_matrix(rng, W4, 5, 32), _vector(rng, 32)
    _check(host, matrix, x, base=NARROW.memory_beats - 36)
    before = host.transport.memory_counts()
    host.write("weight_base", NARROW.memory_beats - 35)
    host.write("control", 1)
    host.wait(100)
    assert host.status()["error"] == Error.MEMORY
    assert host.transport.memory_counts() == before


def test_amid_a_bus_beat(open_host, random_matrix):
    """Weights begin where a bus beat does, or the core refuses."""
    host = open_host(WIDE_BUS)
    rng = np.random.default_rng(7)
    matrix, x = random_matrix(rng, W4, 11, 40), _vector(rng, 40)
    _check(host, matrix, x, base=4)
    for base in (1, 6):
        host.multiply(matrix, x, "companded", base=base)
        assert host.status() == {"busy": 0, "done": 0, "error": Error.MEMORY}


@pytest.mark.parametrize("memory", ["ideal", "slow", "jitter"])
def test_reset_at_any_time(open_host, core, random_matrix, memory):
    """After an abort, open bursts are awaited; then the core is as good as new."""
    host = open_host(core, MEMORIES[memory])
    rng = np.random.default_rng(8)
    matrix, x = random_matrix(rng, W4, core.lanes + 3, 150), _vector(rng, 150, 0.8)
    longest = _check(host, matrix, x)["cycles"]
    image, tiles = matrix.image(core.lanes, sums=False, parts=host.params.sub_tiles)
    for delay in rng.integers(0, longest, 12):
        host.start(x, image, tiles, W4, "companded")
        host.transport.tick(int(delay))
        if rng.random() < 0.3:
            host.transport.fail(int(rng.integers(0, 20)), 2)
        host.write("control", 2)
        host.wait(5000)
        assert host.status() == {"busy": 0, "done": 0, "error": Error.NONE}
        host.write("control", 1)
        host.wait(20_000)
        if host.status()["error"] != Error.RESPONSE:
            assert list(host.outputs(len(matrix.codes))) == host.expected(matrix, x, "companded")
        _check_twice(host, matrix, x)


def _check_twice(host, matrix, x):
    """A failure that was planted may strike late; after that all is right."""
    host.write("control", 1)
    host.wait(20_000)
    _check(host, matrix, x)


def test_start_while_draining(open_host, narrow, random_matrix):
    """A start right behind an abort is refused until memory is quiet."""
    host = open_host(narrow, MemoryModel(latency=200))
    rng = np.random.default_rng(6)
    matrix, x = random_matrix(rng, W4, 20, 100), _vector(rng, 100)
    image, tiles = matrix.image(8, sums=False)
    host.start(x, image, tiles, W4, "companded")
    while host.transport.memory_counts().bursts == 0:
        host.transport.tick(1)
    host.write("control", 2)
    host.write("control", 1)
    assert host.status() == {"busy": 1, "done": 0, "error": Error.BUSY}
    host.wait(5000)
    assert host.status() == {"busy": 0, "done": 0, "error": Error.BUSY}
    _check(host, matrix, x)


@pytest.mark.parametrize("layout", [W4, W8], ids=["w4", "w8"])
def test_driver(open_host, narrow, layout):
    """The driver loads external memory, in parts where it is small, and can spoil a weight."""
    config = narrow.replace(memory_beats=400, max_outputs=24)
    host = open_host(config, MEMORIES["dram"])
    rng = np.random.default_rng(2)
    weights = weights_of(rng, 53, 70, layout)
    device = Device(host.transport, host.params)
    device.load(
        DeviceImage(
            name="test",
            source={},
            configuration=f"{host.params.hash:016x}",
            table="companded",
            matrices={"m": pack_matrix(weights, 8)},
        )
    )
    x = _vector(rng, 70)
    quantizer = Quantizer(constant=367, threshold=4, silent_level=0)
    encoded = encode(torch.from_numpy(x), table=TABLES["companded"], constant=367, threshold=4)
    right = Matrix(weights).matvec(encoded).numpy()
    for _ in range(2):
        result = device.matvec("m", x, quantizer=quantizer, table="companded")
        assert np.array_equal(result.accumulators, right)
    device.flip_weight_bit("m", 1, int(np.abs(x).argmax()), 2)
    result = device.matvec("m", x, quantizer=quantizer, table="companded")
    assert list(np.flatnonzero(result.accumulators != right)) == [1]


def test_memory_ends(open_host):
    host = open_host(NARROW)
    octets = np.arange(12, dtype=np.uint8)
    end = NARROW.memory_beats * 4
    host.transport.load(end - 12, octets)
    assert list(host.transport.dump(end - 12, 12)) == list(octets)
    with pytest.raises(UserError, match="External memory has no 12 bytes at address 0x5db5"):
        host.transport.load(end - 11, octets)
