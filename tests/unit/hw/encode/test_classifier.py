import random

import pytest

from hw.encode.classifier import SILENT, SUPPORTED_TABLES, Classifier, Code, model
from hw.spec.codes import TABLES


def test_supported_tables():
    names = {"signed8", "signed16", "companded", "octave", "fp4", "integer"}
    assert set(SUPPORTED_TABLES) == names


def test_model_by_hand():
    companded = TABLES["companded"]
    assert model(159, True, companded, 4) == Code(-19, False, 1)
    assert model(160, True, companded, 4) == Code(-20, True, 0)
    assert model(3, False, companded, 0) == SILENT
    assert model(11, False, companded, 12) == SILENT
    assert model(12 * 8, False, companded, 255, codes=True) == Code(12, True, 0)
    assert model(192 * 8, False, TABLES["octave"], 255, codes=True) == Code(192, False, 1)
    assert model(192 * 8, True, TABLES["octave"], 255, codes=True) == Code(-192, True, 0)


@pytest.mark.parametrize("name", SUPPORTED_TABLES)
@pytest.mark.parametrize(("codes", "threshold"), [(False, 0), (False, 4), (False, 13), (True, 255)])
def test_classifier(pipe, name, threshold, codes):
    table = TABLES[name]
    rng = random.Random(threshold)
    if codes:
        magnitudes = [8 * magnitude for magnitude in range(256)]
    else:
        ties = [t + d for t in (*table.thresholds, table.integer_from) for d in (-1, 0)]
        near = range(max(0, threshold - 2), threshold + 3)
        magnitudes = [*range(12), *ties, *near, 1015, 1016, *rng.sample(range(1017), 40)]
        magnitudes = [t for t in magnitudes if t <= 1016]
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
        constants=[(dut.table, table.number), (dut.threshold, threshold), (dut.codes, codes)],
    )
    assert [cycle for cycle, _ in results] == [i + 4 for i in range(len(cases))]
    for i, (case, (_, got)) in enumerate(zip(cases, results, strict=True)):
        expected = model(*case, table, threshold, codes=codes)
        assert (got.place.row, got.place.last) == (i % 32, i % 7 == 0)
        assert (got.value, got.silent) == (expected.value, expected.silent), case
        if not expected.silent:
            assert (got.integer, got.step) == (expected.integer, expected.step), case
