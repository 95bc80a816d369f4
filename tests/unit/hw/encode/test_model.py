"""The encoder's integer model and the golden model, each written from the same text."""

import random

import pytest
import torch

from hw.encode.classifier import SUPPORTED_TABLES
from hw.encode.model import encode
from hw.spec.codes import BLOCK, TABLES
from sw.golden import codes, counters


def vectors(rng):
    """Vectors of every loudness: some blocks are clamped, some scales are the largest."""
    for _ in range(60):
        size = rng.choice([1, 31, 33, 95, 257])
        loudness = [1 << rng.randrange(16) for _ in range(size // BLOCK + 1)]
        yield [
            max(-32767, min(32767, round(rng.gauss(0, loudness[i // BLOCK])))) for i in range(size)
        ]


def check(ours, golden, size):
    blocks, rows = [], [0] * BLOCK
    for item in ours.items:
        if not item.empty:
            rows[item.row] = item.code
        if item.last:
            blocks.append((rows, (4 + item.mantissa) << item.shift, item.code_sum))
            rows = [0] * BLOCK
    decoded, scales, sums = zip(*blocks, strict=True)
    assert [v for block in decoded for v in block][:size] == golden.decoded.flatten()[
        :size
    ].tolist()
    assert list(scales) == golden.scales.tolist()
    assert list(sums) == golden.code_sums.tolist()
    assert ours.base == int(golden.base)
    counts = counters.event_counters(golden)
    assert ours.counts._asdict() == {name: counts[name] for name in ours.counts._fields}


@pytest.mark.parametrize("name", SUPPORTED_TABLES)
def test_quantized(name):
    rng = random.Random(name)
    for values in vectors(rng):
        mode = {
            "constant": rng.choice([1, 100, 367, 1200, 4095]),
            "threshold": rng.choice([0, 4, 12, 99]),
        }
        golden = codes.encode(torch.tensor(values), table=TABLES[name], **mode)
        check(encode(values, TABLES[name], **mode), golden, len(values))


@pytest.mark.parametrize("name", SUPPORTED_TABLES)
def test_codes(name):
    rng = random.Random(name)
    for size in (1, 33, 95, 511):
        values = rng.sample(range(-255, 256), size)
        golden = codes.from_codes(torch.tensor(values), table=TABLES[name])
        ours = encode(values, TABLES[name], constant=0, threshold=255, codes=True)
        check(ours, golden, size)
