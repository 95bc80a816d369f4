"""Counts against a count one element at a time, and against the hardware's counters."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES, digits
from hw.spec.formats import W4
from sw.energy.activity import (
    KEYS,
    VALUES,
    Activity,
    ActivityMeter,
    code_counts,
    on_crossbars,
    totals,
    vector_counts,
    weight_activity,
)
from sw.golden.classify import CodeClass
from sw.golden.codes import encode
from sw.golden.counters import event_counters
from sw.golden.decoder import GoldenModel
from tests.unit.golden.models import TINY, random_model

LINEAR = [name for name, table in TABLES.items() if table.linear]


@pytest.mark.parametrize("table", LINEAR)
def test_vectors_are_counted_one_by_one(table):
    x = torch.from_numpy(np.random.default_rng(3).integers(-900, 900, (5, 41)))
    encoded = encode(x, table=TABLES[table], constant=200)
    counts = vector_counts(encoded)
    together = event_counters(encoded)
    assert counts["spikes"].sum() == together["spikes"]
    assert counts["integers"].sum() == together["integer_events"]
    assert counts["silent"].sum() == together["silent"]
    assert counts["steps"].sum() == together["steps"]
    assert counts["window_steps"].sum() == together["window_steps"]
    shifted = encoded.decoded + (TABLES[table].zero - encoded.silent_level)
    for vector in range(5):
        fired = sum(
            (hi != 0) + (lo != 0)
            for level, kind in zip(
                shifted[vector].flatten().tolist(),
                encoded.classes[vector].flatten().tolist(),
                strict=True,
            )
            if kind == CodeClass.INTEGER
            for hi, lo in [digits(level)]
        )
        assert counts["digits"][vector] == fired


def test_meter_counts_what_the_model_counts():
    model = random_model(TINY, seed=4)
    tokens = np.random.default_rng(5).integers(0, TINY.vocabulary, 7).tolist()
    golden = GoldenModel(model)
    meter = ActivityMeter(model, table=golden.table)
    golden.golden, golden.observe = meter, meter.observe
    got = golden.prefill(tokens)
    plain = GoldenModel(model)
    assert torch.equal(got, plain.prefill(tokens))
    total = totals(meter.activities.values())
    assert total.spikes == plain.counters["spikes"]
    assert total.integers == plain.counters["integer_events"]
    assert total.silent == plain.counters["silent"]
    assert total.steps == plain.counters["steps"]
    # Attention: every query element meets the keys so far, every probability a head's values.
    heads, width = TINY.layers * TINY.heads, TINY.head_width
    pairs = heads * sum(range(1, 8))
    keys, values = (totals(meter.activities.values(), kind) for kind in (KEYS, VALUES))
    assert keys.elements == heads * 7 * width and keys.products == pairs * width
    assert values.elements == pairs and values.products == pairs * width
    assert values.silent >= 0


def test_calls_with_several_tokens_add_up():
    model = random_model(TINY, seed=6)
    meters = []
    for calls in ([[1, 2, 3, 4, 5]], [[1, 2], [3], [4, 5]]):
        golden = GoldenModel(model)
        meter = ActivityMeter(model, table=golden.table)
        golden.golden, golden.observe = meter, meter.observe
        for call in calls:
            golden.prefill(call)
        meters.append(meter.activities)
    assert meters[0] == meters[1]


def test_digests_tell_sums_apart():
    model = random_model(TINY, seed=7)
    digests = []
    for table in ("ttfs", "mttfs", "signed8"):
        golden = GoldenModel(model, table=table)
        golden.golden = meter = ActivityMeter(model, table=golden.table)
        meter.digesting = True
        golden.prefill([3, 1, 4, 1, 5])
        digests.append({name: hashed.hexdigest() for name, hashed in meter.hashes.items()})
    assert digests[0] == digests[1] and digests[0] != digests[2]
    assert len(digests[0]) == 4 * TINY.layers + 1


def test_products_and_bits_by_hand():
    record = weight_activity("layers.0.attn_q", W4, 10)
    counts = {"silent": 3, "spikes": 4, "integers": 1, "events": 4, "digits": 2, "steps": 3}
    record.add(outputs=10, groups=1, window_steps=16, **counts)
    assert (record.elements, record.products, record.digit_products) == (8, 80, 20)
    assert record.read_bits == 50 * 4 + 10 * 16
    assert record.dense_read_bits == 80 * 4 + 10 * 16


def test_row_sums_are_read_where_silence_is_not_zero():
    model = random_model(TINY, seed=8)
    bits = {}
    for table in ("ttfs", "mttfs"):
        golden = GoldenModel(model, table=table)
        golden.golden = meter = ActivityMeter(model, table=golden.table)
        golden.prefill([1])
        bits[table] = [meter.activities[t].scale_bits for t in ("layers.0.attn_q", "head")]
    assert bits == {"ttfs": [32, 40], "mttfs": [16, 8]}


def test_codes_of_no_table():
    magnitudes = torch.tensor([[0, 1, 1, 7, 90] + 30 * [2]])
    integers = torch.zeros_like(magnitudes, dtype=torch.bool)
    integers[0, 4] = True
    assert code_counts(magnitudes, integers, steps=8) == {
        "silent": 1,
        "spikes": 33,
        "integers": 1,
        "events": 33,
        "digits": 0,
        "steps": 3 + 1,
        "window_steps": 16,
    }


def test_on_crossbars_that_lose_nothing():
    """Two columns an output and occupied step; 5 events and 2 digits raise lines in 4 steps."""
    record = Activity(name="m", weight_bits=8, scale_bits=16)
    counts = {"silent": 25, "spikes": 5, "integers": 2, "events": 5, "digits": 2, "steps": 4}
    record.add(outputs=100, groups=1, window_steps=16, **counts)
    arrays = on_crossbars(record)
    assert (arrays.conversions, arrays.raised_lines) == (100 * 4 * 2 * 2, 100 * 2 * 2 * 7)
    assert (record.conversions, record.read_bits) == (0, 100 * (7 * 8 + 16))
    assert arrays.read_bits == 100 * 16
    assert on_crossbars(Activity(name="none", weight_bits=4)).conversions == 0
    cache = dataclasses.replace(record, kind="cache")
    assert on_crossbars(cache) is cache
