"""Counters against a count by hand of every code of every block."""

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES, digits
from hw.spec.formats import W4, W8
from hw.spec.params import INTEGRATORS
from hw.spec.registers import COUNTERS
from sw.golden.classify import CodeClass
from sw.golden.codes import encode, from_codes
from sw.golden.counters import (
    accumulate,
    bound_cycles,
    event_counters,
    lane_cycles,
    memory_counters,
    no_counters,
)

CASES = [(table, table.silent_level) for table in TABLES.values() if not table.masked]
CASES += [(TABLES["mttfs"], m) for m in (0, 5, 8, 15)]


def count_steps(decoded, classes, table, m):
    """Occupied levels of one block, coarse and fine."""
    coarse, fine = set(), set()
    for value, kind in zip(decoded, classes, strict=True):
        if kind == CodeClass.SPIKE:
            fine.add(abs(value + table.zero - m))
        if kind == CodeClass.INTEGER:
            high, low = digits(value + table.zero - m)
            coarse.add(abs(high))
            fine.add(abs(low))
    return len(coarse - {0}) + len(fine - {0})


@pytest.mark.parametrize("table, m", CASES, ids=[f"{table.name}-{m}" for table, m in CASES])
@pytest.mark.parametrize("constant", [150, 900])
def test_event_counters(table, m, constant):
    rng = np.random.default_rng(constant)
    x = (rng.standard_t(2, (3, 5, 75)) * 700).clip(-32767, 32767).astype(np.int64)
    x[0, 0] = 0
    encoded = encode(torch.from_numpy(x), table=table, constant=constant, silent_level=m)
    counts = event_counters(encoded)
    decoded = encoded.decoded.view(-1, 32).tolist()
    classes = encoded.classes.view(-1, 32).tolist()
    flat = [kind for block in classes for kind in block]
    assert counts == {
        "spikes": flat.count(1),
        "silent": flat.count(0),
        "integer_events": flat.count(2),
        "steps": sum(count_steps(d, c, table, m) for d, c in zip(decoded, classes, strict=True)),
        "window_steps": 3 * 5 * 3 * table.steps,
    }
    assert counts["spikes"] + counts["silent"] + counts["integer_events"] == x.size


def test_vectors_add_up():
    x = torch.from_numpy(np.random.default_rng(0).integers(-999, 999, (4, 50)))
    table = TABLES["companded"]
    totals = no_counters()
    for vector in x:
        accumulate(totals, event_counters(encode(vector, table=table, constant=367)))
    for name, count in event_counters(encode(x, table=table, constant=367)).items():
        assert totals[name] == count


def test_silence_has_no_steps():
    encoded = encode(torch.zeros(33, dtype=torch.int64), table=TABLES["signed8"], constant=9)
    assert event_counters(encoded) == {
        "spikes": 0,
        "silent": 33,
        "integer_events": 0,
        "steps": 0,
        "window_steps": 16,
    }


def test_memory_counters():
    encoded = from_codes(torch.tensor([0, 3, 200, 0] * 9), table=TABLES["companded"])
    reads = {"encoded": encoded, "rows": 21, "lanes": 8}
    # 18 codes fire for each tile; 36 inputs are two groups
    assert memory_counters(weight_format=W4, **reads) == {
        "rows_read": 3 * 18,
        "beats_read": 3 * (18 + 2 * 4),
        "beats_hole": 0,
    }
    assert memory_counters(weight_format=W8, **reads) == {
        "rows_read": 6 * 18,
        "beats_read": 6 * (18 + 2 * 1),
        "beats_hole": 0,
    }


def test_row_sums_are_read_where_silence_is_not_zero():
    """Four more beats for each group, unless m is z."""
    for m, beats in ((8, 4), (5, 8)):
        encoded = encode(torch.arange(-40, 41), table=TABLES["mttfs"], constant=367, silent_level=m)
        reads = memory_counters(encoded, weight_format=W4, rows=8, lanes=8)
        assert reads["beats_read"] - reads["rows_read"] == 3 * beats


def test_digits_read_their_rows():
    encoded = from_codes(torch.tensor([0, 3, 200, 16, -7, 24]), table=TABLES["companded"])
    reads = memory_counters(encoded, weight_format=W4, rows=8, lanes=8, integrator="spike")
    assert (reads["rows_read"], reads["beats_read"]) == (
        6 + 1,
        6 + 1 + 4,
    )  # 200 and 24 have two digits


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_external_memory_delivers_a_row_once(integrator):
    encoded = from_codes(torch.tensor([0, 3, 200, 16, -7, 24]), table=TABLES["companded"])
    reads = {"weight_format": W4, "rows": 8, "lanes": 8, "integrator": integrator}
    assert memory_counters(encoded, memory="axi", **reads) == {
        "rows_read": 5,
        "beats_read": 5 + 4,
        "beats_hole": 0,
    }


def test_short_holes_are_read_through():
    """Runs of 2, 3 and 1 silent rows before rows that fire; the last 22 are before none."""
    codes = [0, 0, 5, 0, 0, 0, 5, 5, 0, 5, *[0] * 22, *[0] * 13, 5, *[0] * 20]
    encoded = from_codes(torch.tensor(codes), table=TABLES["companded"])
    reads = {"weight_format": W4, "rows": 9, "lanes": 8, "memory": "axi"}
    holes = {
        hole: memory_counters(encoded, hole=hole, **reads)["beats_hole"] for hole in (1, 2, 3, 4, 8)
    }
    assert holes == {1: 0, 2: 2 * 1, 3: 2 * 3, 4: 2 * 6, 8: 2 * 6}
    assert memory_counters(encoded, **reads | {"memory": "onchip"}, hole=4)["beats_hole"] == 0


def test_lane_cycles_by_hand():
    cases = {
        (0,): 1 + 1,
        (1, -1): 2 + 1,
        (4, 2, 1): 3 + 1,
        (7,): 1 + 2 + 1,  # 7 = 4 + 2 + 1
        (19,): 1 + 5 + 1,  # four times 4, and 3 = 2 + 1
        (16,): 1 + 1 + 1,  # V * 16 after the only digit
        (23,): 2 + 2 + 1,  # 16 + 7
        (-40,): 2 + (1 + 1) + 1,  # -3 * 16 + 8
    }
    for codes, cycles in cases.items():
        encoded = from_codes(torch.tensor(codes), table=TABLES["companded"])
        assert lane_cycles(encoded, "spike").tolist() == [cycles]
        assert lane_cycles(encoded, "mac").tolist() == [max(1, sum(c != 0 for c in codes))]


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_bound_by_hand(integrator):
    """Memory limits a group of few gaps, the lanes one of many; both planes of 8 bits count."""
    codes = torch.tensor([0, 3, -19, 0] * 8 + [5] * 32 + [0] * 30)
    encoded = from_codes(codes, table=TABLES["companded"])
    lanes = lane_cycles(encoded, integrator).tolist()
    for weights, head, tiles in ((W4, 4, 3), (W8, 1, 5)):
        groups = [max(head + rows, lane) for rows, lane in zip((16, 32, 0), lanes, strict=True)]
        core = {"weight_format": weights, "rows": 35, "lanes": 16, "integrator": integrator}
        assert bound_cycles(encoded, **core) == tiles * sum(groups)


def test_names_are_those_of_the_hardware():
    assert set(no_counters()) == {*COUNTERS, "window_steps", "bound_cycles"}
    assert {name for name, count in no_counters().items() if count is None} == {
        "cycles",
        "stall_scaler",
        "stall_memory",
        "stall_encoder",
    }
