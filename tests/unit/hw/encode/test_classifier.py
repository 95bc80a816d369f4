import random

import pytest

from hw.encode.classifier import LATENCY, SUPPORTED_TABLES, Classifier, Code, model
from hw.spec.codes import TABLES

SILENT = Code(0, 0, False)


def test_supported_tables():
    assert SUPPORTED_TABLES == tuple(TABLES)


def test_model_by_hand():
    companded = TABLES["companded"]
    assert model(159, True, companded, 4) == Code(-19, -19, False)
    assert model(160, True, companded, 4) == Code(-20, -20, True)
    assert model(3, False, companded, 0) == SILENT
    assert model(11, False, companded, 12) == SILENT
    assert model(12 * 8, False, companded, 255, codes=True) == Code(12, 12, True)
    assert model(192 * 8, False, TABLES["octave"], 255, codes=True) == Code(192, 192, False)
    assert model(192 * 8, True, TABLES["octave"], 255, codes=True) == Code(-192, -192, True)


def test_model_of_shifted_tables_by_hand():
    ttfs, mttfs, ttfs8 = TABLES["ttfs"], TABLES["mttfs"], TABLES["ttfs8"]
    assert model(0, False, ttfs, 4) == Code(0, 8, False)
    assert model(64, True, ttfs, 4) == Code(-8, 0, False)
    assert model(67, True, ttfs, 4) == Code(-8, 0, False)
    assert model(68, True, ttfs, 4) == Code(-9, -1, True)
    assert model(60, False, ttfs, 4) == Code(8, 16, True)
    assert model(16, False, mttfs, 4, silent=10) == Code(2, 0, False)
    assert model(24, False, mttfs, 9, silent=10) == Code(2, 0, False)
    assert model(25, False, mttfs, 9, silent=10) == Code(3, 1, False)
    assert model(72, True, mttfs, 4, silent=10) == Code(-9, -11, True)
    assert model(1016, True, ttfs8, 4) == Code(-127, 1, False)
    assert model(1016, False, ttfs8, 4) == Code(127, 255, False)


CASES = [
    (name, silent, codes, threshold)
    for name, table in TABLES.items()
    for silent in (table.ladder if table.masked else [table.silent_level])
    for codes, threshold in ((False, 0), (False, 4), (False, 13), (True, 255))
    if not (codes and table.zero)
]


@pytest.mark.parametrize(("name", "silent", "codes", "threshold"), CASES)
def test_classifier(pipe, name, silent, threshold, codes):
    table = TABLES[name]
    rng = random.Random(threshold + 16 * silent)
    if codes:
        magnitudes = [8 * magnitude for magnitude in range(256)]
    else:
        centre = 8 * abs(silent - table.zero)
        ties = [t + d for t in (*table.thresholds, table.integer_from) for d in (-1, 0)]
        edges = [8 * (table.highest - table.zero) + 4, 8 * table.zero + 4]
        near = [e + d for e in (0, threshold, centre, *edges) for d in (-threshold, *range(-2, 3))]
        near += [centre + threshold + d for d in (-1, 0, 1)]
        magnitudes = [*range(12), *rng.sample(ties, min(60, len(ties))), *near, 1015, 1016]
        magnitudes += rng.sample(range(1017), 40)
        magnitudes = [t for t in magnitudes if 0 <= t <= 1016]
        whole = range(0, 256 * 8, 8)
        if not table.linear:
            magnitudes = list(whole)
        elif not table.zero:
            magnitudes += whole
    cases = [(magnitude, negative) for magnitude in magnitudes for negative in (False, True)]
    dut = Classifier()
    results = pipe(
        dut,
        dut.quotients,
        [
            {"quotient": q, "negative": n, "place": {"row": i % 32, "last": i % 7 == 0}}
            for i, (q, n) in enumerate(cases)
        ],
        dut.classified,
        constants=[
            (dut.table, table.number),
            (dut.threshold, threshold),
            (dut.silent, silent),
            (dut.codes, codes),
        ],
    )
    assert [cycle for cycle, _ in results] == [i + LATENCY for i in range(len(cases))]
    for i, (case, (_, got)) in enumerate(zip(cases, results, strict=True)):
        expected = model(*case, table, threshold, silent=silent, codes=codes)
        assert (got.place.row, got.place.last) == (i % 32, i % 7 == 0)
        assert (got.value, got.level) == (expected.value, expected.level), case
        assert (got.integer, got.silent) == (expected.integer, expected.silent), case
