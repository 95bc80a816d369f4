"""Several vectors by one matrix, on a core made of software."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.registers import ENCODE_COUNTERS
from sw.driver.device import Device
from sw.driver.golden_transport import GoldenTransport
from sw.golden.codes import encode
from sw.golden.counters import event_counters, memory_counters
from sw.golden.matrix import Matrix
from tests.unit.driver.test_device import QUANTIZER, image_of, params_of
from tests.unit.golden.models import random_matrix


def _vectors(rng, count, inputs):
    x = np.rint(rng.laplace(0, 900, (count, inputs))).clip(-32767, 32767).astype(np.int64)
    x[rng.random(x.shape) < rng.random((count, 1))] = 0
    x[: count // 2, 32:64] = 0
    return x


def _encoded(x):
    constant, threshold = QUANTIZER.constant, QUANTIZER.threshold
    vectors = torch.from_numpy(x)
    return encode(vectors, table=TABLES["companded"], constant=constant, threshold=threshold)


@pytest.mark.parametrize("layout", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize(
    ("batch", "parts", "memory_beats"), [(1, 1, 1024), (3, 1, 1024), (4, 2, 400), (7, 4, 1200)]
)
def test_outputs_and_counters(layout, batch, parts, memory_beats):
    """Full batches and a rest, in one instruction or several."""
    rng = np.random.default_rng([batch, parts])
    params = params_of(
        **{"memory": "axi", "batch": batch, "hole": 3, "memory_beats": memory_beats},
        **{"tile_lanes": 8 * parts, "max_outputs": 256},
    )
    weights = random_matrix(rng, 57, 70, layout)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, m=weights))
    x = _vectors(rng, 7, 70)
    result = device.matmul("m", x, quantizer=QUANTIZER, table="companded")
    encoded = _encoded(x)
    assert np.array_equal(result.accumulators, Matrix(weights).matvec(encoded).numpy())
    assert list(result.bases) == encoded.base.tolist()
    events = event_counters(encoded)
    reads = memory_counters(
        encoded, weight_format=layout, rows=57, lanes=8, tile_lanes=8 * parts,
        memory="axi", hole=3, batch=batch,
    )  # fmt: skip
    for name in (*ENCODE_COUNTERS, *reads):
        assert result.counters[name] == (events | reads)[name]


def test_rows_are_read_once():
    """What vectors share is read once; of different ones, what any of them needs."""
    x = np.zeros((3, 64), np.int64)
    x[0, 3] = x[1, 3] = x[1, 9] = x[2, 40] = 1000
    reads = {"weight_format": W4, "rows": 16, "lanes": 8, "memory": "axi"}
    one = memory_counters(_encoded(x), **reads)
    three = memory_counters(_encoded(x), **reads, batch=3)
    assert (one["rows_read"], three["rows_read"]) == (2 * 4, 2 * 3)
    assert three["beats_read"] - three["rows_read"] == 2 * 2 * 4
    assert one["beats_read"] - one["rows_read"] == 3 * 2 * 2 * 4
    # Rows 3 and 9 of the first vectors: of the hole between them neither knows alone.
    holes = [memory_counters(_encoded(x), **reads, hole=6, batch=n)["beats_hole"] for n in (1, 3)]
    assert holes == [2 * (3 + 3 + 5), 2 * (3 + 5)]


@pytest.mark.parametrize("shape", [(70,), (0, 70), (2, 69)])
def test_wrong_shapes(shape):
    params = params_of(memory="axi", batch=2)
    device = Device(GoldenTransport(params), params)
    device.load(image_of(params, m=random_matrix(np.random.default_rng(1), 8, 70)))
    with pytest.raises(ValueError, match="vectors of 70 inputs, got shape"):
        device.matmul("m", np.zeros(shape, int), quantizer=QUANTIZER, table="companded")
    with pytest.raises(ValueError, match="one vector.*use matmul"):
        device.matvec("m", np.zeros((2, 70), int), quantizer=QUANTIZER, table="companded")
