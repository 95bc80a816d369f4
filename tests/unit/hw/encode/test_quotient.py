import random

import pytest

from hw.encode import quotient
from hw.encode.quotient import Quotient, model
from hw.spec import scales


@pytest.mark.parametrize("mantissa", [4, 5, 6, 7])
def test_reciprocals_are_exact(mantissa):
    reciprocal = quotient.RECIPROCALS[mantissa - 4]
    for numerator in range(1 << quotient.NUMERATOR_BITS):
        assert numerator * reciprocal >> quotient.RECIPROCAL_SHIFT == numerator // mantissa


def test_unit_scale():
    assert [model(v, quotient.UNIT_SCALE) for v in (0, 1, -255)] == [
        (0, False),
        (8, False),
        (2040, True),
    ]


@pytest.mark.parametrize("idle", [False, True])
def test_quotient(pipe, idle):
    rng = random.Random(7)
    cases = [(value, quotient.UNIT_SCALE) for value in (-255, -1, 0, 1, 254, 255)]
    for index, scale in enumerate(scales.GRID):
        largest = min(scales.INPUT_MAX, scales.LARGEST_CODE * scale >> scales.SCALE_FRACTION)
        cases += [(v, index) for v in (0, largest, -largest, largest // 2)]
        cases += [(rng.randint(-largest, largest), index) for _ in range(8)]
    dut = Quotient()
    results = pipe(
        dut,
        dut.elements,
        [
            {
                "value": value,
                "exponent": index >> 2,
                "place": {
                    "row": i % 32,
                    "last": i % 5 == 0,
                    "mantissa": index & 3,
                    "shift": i % 9,
                },
            }
            for i, (value, index) in enumerate(cases)
        ],
        dut.quotients,
        idle=rng if idle else None,
    )
    assert [(r.quotient, r.negative) for _, r in results] == [model(*case) for case in cases]
    places = [(r.place.row, r.place.last, r.place.shift) for _, r in results]
    assert places == [(i % 32, i % 5 == 0, i % 9) for i in range(len(cases))]
    if not idle:
        assert [cycle for cycle, _ in results] == [i + 4 for i in range(len(cases))]
