"""The encoder's integer model and the golden model, each written from the same text."""

import random

import numpy as np
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


def rebuild(items):
    """Levels of mac items, with what their blocks have in common."""
    blocks, levels = [], [0] * BLOCK
    for item in items:
        if not item.empty:
            levels[item.row] = item.code
        if item.last:
            blocks.append((levels, (4 + item.mantissa) << item.shift, item.code_sum))
            levels = [0] * BLOCK
    return blocks


def rebuild_in_time(items):
    """Levels of spike items: weights of rows that are the unit vectors, integrated."""
    blocks = []
    current, potential = np.zeros((2, BLOCK), int)
    for item in items:
        potential = (potential << 4 * item.times16) + (current << item.gap_shift) * item.gap
        if item.ends_group:
            scale = (4 + item.mantissa) << item.shift
            blocks.append((potential.tolist(), scale, item.code_sum))
            potential = 0 * potential
        current = current * (not item.restart)
        if not item.empty:
            current[item.row] += -1 if item.negative else 1
    return blocks


def check(values, golden, **mode):
    for integrator, rebuilt in (("mac", rebuild), ("spike", rebuild_in_time)):
        ours = encode(values, golden.table, integrator=integrator, **mode)
        levels, scales, sums = zip(*rebuilt(ours.items), strict=True)
        assert list(levels) == (golden.decoded + golden.table.zero - golden.silent_level).tolist()
        assert list(scales) == golden.scales.tolist()
        assert list(sums) == golden.code_sums.tolist()
        assert ours.base == int(golden.base)
        counts = counters.event_counters(golden)
        assert ours.counts._asdict() == {name: counts[name] for name in ours.counts._fields}
        ends = [item.last if integrator == "mac" else item.ends_group for item in ours.items]
        handovers = np.flatnonzero(ends)
        cycles = counters.lane_cycles(golden, integrator)
        assert np.diff(handovers, prepend=-1).tolist() == cycles.tolist()
        assert (
            sum(not item.empty for item in ours.items)
            == counters.row_events(golden, integrator).sum()
        )


@pytest.mark.parametrize("name", SUPPORTED_TABLES)
def test_quantized(name):
    rng = random.Random(name)
    table = TABLES[name]
    for values in vectors(rng):
        mode = {
            "constant": rng.choice([1, 100, 367, 1200, 4095]),
            "threshold": rng.choice([0, 4, 12, 99]),
        }
        silent = rng.choice(table.ladder) if table.masked else table.silent_level
        golden = codes.encode(torch.tensor(values), table=table, silent_level=silent, **mode)
        check(values, golden, silent=silent, **mode)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if not table.zero])
def test_codes(name):
    rng = random.Random(name)
    for size in (1, 33, 95, 511):
        values = rng.sample(range(-255, 256), size)
        golden = codes.from_codes(torch.tensor(values), table=TABLES[name])
        check(values, golden, constant=0, threshold=255, codes=True)
