# amaranth: UnusedElaboratable=no
"""Greatest element of a vector against Python's."""

import random

import pytest
from amaranth.hdl import signed, unsigned

from hw.vector.greatest import Greatest
from tests.unit.hw.vector.drive import WIDTHS, beats, last_cycles, run


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", [None, 6])
@pytest.mark.parametrize("shape", [signed(24), signed(6), unsigned(5)])
def test_greatest(width, seed, shape):
    rng = random.Random(width)
    low = -(1 << shape.width - 1) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    vectors = [[low], [high], [low] * 9, [high, *[low] * 6], [*[low] * 12, high], [low, low + 1]]
    vectors += [[rng.randint(low, high) for _ in range(rng.randrange(1, 20))] for _ in range(30)]
    dut = Greatest(shape=shape, width=width)
    items = [beat for vector in vectors for beat in beats(vector, width, filler=high)]
    seen = run(dut, {"elements": items}, ["greatest"], seed=seed)
    assert [value for _, value in seen["greatest"]] == [max(vector) for vector in vectors]
    ends = [cycle + dut.latency for cycle in last_cycles(seen["elements"])]
    assert [cycle for cycle, _ in seen["greatest"]] == ends


def test_parameters():
    with pytest.raises(ValueError, match="width must be at least 1 element a cycle, not 0; choose"):
        Greatest(shape=signed(24), width=0)
