"""The matrix-vector engine: synapse array, integrator, code table, weight format, odd sizes."""

import itertools

import numpy as np
import pytest

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS, CoreConfig
from hw.spec.registers import Error
from sim.memory import MemoryModel
from tests.rtl.conftest import NARROW, WIDE

pytestmark = pytest.mark.rtl

LONG = {"memory_beats": 8000, "max_inputs": 1536}
ARRAYS = {
    "one-lane": CoreConfig(lanes=1, max_outputs=6, **LONG),
    "five-lanes": CoreConfig(lanes=5, max_outputs=17, **LONG),
    "twelve-lanes": CoreConfig(lanes=12, max_outputs=45, **LONG),
    "axi-narrow": NARROW,
    "axi-wide": WIDE,
}

#: Every table in the mode that it is for, the signed ones in both.
CODES = [(table.name, True) for table in TABLES.values() if table.zero == 0]
LEVELS = [(table.name, False) for table in TABLES.values() if table.linear]
CASES = [*LEVELS, *CODES]


@pytest.fixture(scope="module", params=itertools.product(ARRAYS, INTEGRATORS), ids="-".join)
def host(request, open_host):
    name, integrator = request.param
    config = ARRAYS[name].replace(integrator=integrator)
    external = config.memory == "axi"
    return open_host(config, MemoryModel(latency=3, jitter=9, seed=5) if external else None)


def _levels(rng, inputs):
    """Heavy-tailed, with a block of zeros and one of tiny values where there is room."""
    x = np.rint(rng.laplace(0, 900, inputs)).clip(-32767, 32767).astype(np.int64)
    x[rng.random(inputs) < rng.choice([0, 0.5])] = 0
    x[rng.integers(0, inputs)] = 32767
    x[32:64] = 0
    x[64:80] = rng.integers(-3, 4, len(x[64:80]))
    return x


def _codes(rng, inputs):
    """Decoded codes, with a block of zeros and one in the coarse window alone."""
    x = rng.integers(-255, 256, inputs) * (rng.random(inputs) < 0.7)
    x[32:64] = 0
    x[64:96] = 240
    return x


@pytest.mark.parametrize("inputs", [1, 31, 33, 95, 576, 1536])
@pytest.mark.parametrize(
    ("table", "codes"), CASES, ids=[name + "-codes" * codes for name, codes in CASES]
)
def test_engine(host, random_matrix, table, codes, inputs):
    """Sums, counters and cycles; the last tile and group are partial."""
    lanes, entry = host.params.lanes, TABLES[table]
    rng = np.random.default_rng([entry.number, inputs, codes])
    vectors = [(_codes if codes else _levels)(rng, inputs)]
    if inputs == 95:
        extreme = 255 if codes else 32767
        vectors += [np.zeros(inputs, int), np.full(inputs, -extreme), np.full(inputs, extreme)]
    for weights, x in itertools.product((W4, W8), vectors):
        if lanes % weights.lanes_per_output:
            continue
        matrix = random_matrix(rng, weights, 2 * weights.outputs(lanes) + 1, inputs)
        silent = int(rng.integers(0, 16)) if entry.masked else entry.silent_level
        threshold, constant = int(rng.choice([4, 0, 23, 40])), int(rng.choice([367, 800]))
        options = {"threshold": threshold, "constant": constant, "silent": silent}
        host.check(matrix, x, table, codes=codes, **options)


def test_odd_lanes_refuse_bytes(open_host):
    host = open_host(ARRAYS["five-lanes"])
    host.write("shape", 32 | 1 << 16)
    host.write("mode", W8.number << 4)
    host.write("control", 1)
    host.wait(100)
    assert host.status()["error"] == Error.MODE
