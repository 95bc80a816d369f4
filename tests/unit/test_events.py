"""Events in files: they give back every sum, in the order of time."""

import csv

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from sw.errors import UserError
from sw.events import COLUMNS, FINE, check_name, load_events, recorder_of
from sw.golden.decoder import GoldenModel
from sw.golden.linear import GoldenLinear
from tests.unit.golden.models import TINY, random_model

TOKENS = [3, 1, 4, 1, 5]


def record(table="companded", linear=None):
    model = random_model(TINY, seed=9)
    golden = GoldenModel(model, table=table, lanes=8, linear=linear and linear(model))
    recorder = recorder_of(golden, model)
    logits = golden.prefill(TOKENS)
    return model, golden, recorder, logits


@pytest.mark.parametrize("table", ["companded", "mttfs", "integer"])
def test_events_are_those_of_the_counters(table):
    model, golden, recorder, logits = record(table)
    plain = GoldenModel(model, table=table, lanes=8)
    assert torch.equal(plain.prefill(TOKENS), logits)
    assert golden.counters == plain.counters
    events = recorder.events()
    digits = sum(activity.digits for activity in recorder.activities.values())
    assert len(events) == plain.counters["spikes"] + digits
    assert events.scales.shape[:2] == (5, len(events.tensors))
    work = recorder.work.values()
    assert sum(w["beats"] for w in work) == plain.counters["beats_read"]
    assert sum(w["cycles"] for w in work) == plain.counters["bound_cycles"]


def test_values_come_back_from_levels():
    model, _, recorder, _ = record()
    events = recorder.events()
    tensor, first, encoded = recorder._parts[0]
    fired = events.of(token=first, tensor=tensor)
    values = np.zeros(encoded.inputs)
    weight = np.where(fired["window"] == FINE, 1, 16) * fired["level"].astype(int) * fired["sign"]
    np.add.at(values, fired["channel"], weight)
    scales = events.scales[first, events.tensors.index(tensor)]
    wanted = encoded.scaled[0].double().numpy() * 2.0 ** (int(encoded.base[0]) - 4)
    assert np.array_equal(values * scales.repeat(32)[: len(values)], wanted)


def test_time_runs_from_coarse_to_fine_and_from_large_to_small():
    _, _, recorder, _ = record("integer")
    columns = recorder.events().columns
    keys = np.stack(
        [
            columns["token"].astype(int),
            columns["tensor"].astype(int),
            columns["channel"].astype(int) // 32,
            columns["window"].astype(int),
            -columns["level"].astype(int),
            columns["channel"].astype(int),
        ],
        1,
    ).tolist()
    assert keys == sorted(keys) and (columns["level"] > 0).all()


def test_files(tmp_path):
    events = record()[2].events()
    events.save(tmp_path / "e.npz")
    again = load_events(tmp_path / "e.npz")
    assert again.tensors == events.tensors and np.array_equal(again.scales, events.scales)
    for name in COLUMNS:
        assert np.array_equal(again.columns[name], events.columns[name])
    events.save(tmp_path / "e.csv")
    with open(tmp_path / "e.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == list(COLUMNS) and len(rows) == len(events)
    last = [events.columns[name][-1] for name in COLUMNS]
    assert rows[-1][0] == str(last[0]) and rows[-1][1] == events.tensors[last[1]]
    assert rows[-1][2:] == [str(value) for value in last[2:]]


def test_another_product_is_recorded_too():
    def product(model):
        linear = GoldenLinear(model, table=TABLES["companded"], lanes=8)

        def call(name, matrix, x):
            accumulators, base = linear(name, matrix, x)
            call.last.counters = {"beats_read": 2, "beats_hole": 1, "cycles": 7}
            return accumulators, base

        call.last = type("Result", (), {})()
        return call

    direct, through = record()[2], record(linear=product)[2]
    assert through.activities == direct.activities
    assert through.work["head"] == {"beats": 15, "cycles": 35}


def test_refusals(tmp_path):
    events = record()[2].events()
    with pytest.raises(UserError, match="ends in .npz or .csv, not 'events.txt'"):
        check_name(tmp_path / "events.txt")
    with pytest.raises(UserError, match="tokens are 0..4, not 9"):
        events.of(token=9, tensor="head")
    with pytest.raises(UserError, match="tensors are layers.0.attn_q, .*, not 'tail'"):
        events.of(token=0, tensor="tail")
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(UserError, match="bad.npz holds no events"):
        load_events(tmp_path / "bad.npz")
