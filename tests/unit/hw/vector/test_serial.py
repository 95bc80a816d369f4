# amaranth: UnusedElaboratable=no
"""Division and square root by bits."""

import random

import pytest

from hw.vector import divider, square_root
from hw.vector.divider import Divider
from hw.vector.square_root import SquareRoot
from tests.unit.hw.vector.drive import run

#: Those of the arithmetic: of the norm, of the probabilities, of the context.
DIVISIONS = [
    (1 << 31, range(1 << 15, 1 << 16), 17),
    (255 << 23, range(1 << 15, 1 << 16), 16),
    (1 << 39, range(255 << 15, 255 * 65535 + 1), 17),
]


def check_serial(dut, source, sink, items, expected, seed):
    seen = run(dut, {source: items}, [sink], seed=seed)
    assert [value for _, value in seen[sink]] == expected
    if seed is None:
        starts = [cycle for cycle, _ in seen[source]]
        assert [cycle for cycle, _ in seen[sink]] == [start + dut.latency for start in starts]
        assert starts == [i * (dut.latency + 1) for i in range(len(items))]


@pytest.mark.parametrize("dividend, divisors, quotient_bits", DIVISIONS)
@pytest.mark.parametrize("seed", [None, 3])
def test_divider_of_the_arithmetic(dividend, divisors, quotient_bits, seed):
    rng = random.Random(seed)
    chosen = [divisors[0], divisors[1], divisors[-1], *(rng.choice(divisors) for _ in range(30))]
    dut = Divider(
        dividend_bits=dividend.bit_length(),
        divisor_bits=divisors[-1].bit_length(),
        quotient_bits=quotient_bits,
    )
    items = [{"dividend": dividend, "divisor": divisor} for divisor in chosen]
    expected = [divider.model(dividend, divisor) for divisor in chosen]
    check_serial(dut, "operands", "quotient", items, expected, seed)


@pytest.mark.parametrize("bits", [(1, 1, 1), (5, 5, 5), (7, 3, 7), (4, 9, 4)])
def test_divider(bits):
    dividend_bits, divisor_bits, quotient_bits = bits
    rng = random.Random(1)
    pairs = [((1 << dividend_bits) - 1, 1), (0, 1), (0, (1 << divisor_bits) - 1)]
    pairs += [
        (rng.getrandbits(dividend_bits), rng.randrange(1, 1 << divisor_bits)) for _ in range(40)
    ]
    dut = Divider(
        dividend_bits=dividend_bits, divisor_bits=divisor_bits, quotient_bits=quotient_bits
    )
    items = [{"dividend": dividend, "divisor": divisor} for dividend, divisor in pairs]
    expected = [divider.model(*pair) for pair in pairs]
    check_serial(dut, "operands", "quotient", items, expected, 1)


@pytest.mark.parametrize("root_bits", [2, 5, 16])
@pytest.mark.parametrize("seed", [None, 2])
def test_square_root(root_bits, seed):
    rng = random.Random(root_bits)
    top = (1 << 2 * root_bits) - 1
    roots = [rng.getrandbits(root_bits) for _ in range(12)]
    numbers = [0, 1, top, *(r * r + d & top for r in roots for d in (-1, 0, 1))]
    dut = SquareRoot(root_bits=root_bits)
    expected = [square_root.model(number) for number in numbers]
    check_serial(dut, "number", "root", numbers, expected, seed)


def test_parameters():
    with pytest.raises(ValueError, match="quotient_bits must be 1 to the dividend's 4, not 5; cou"):
        Divider(dividend_bits=4, divisor_bits=4, quotient_bits=5)
    with pytest.raises(ValueError, match="divisor_bits must be at least 1, not 0; count"):
        Divider(dividend_bits=4, divisor_bits=0, quotient_bits=4)
    with pytest.raises(ValueError, match="root_bits must be at least 2, not 1; take half"):
        SquareRoot(root_bits=1)
