import random

import pytest

from hw.encode.normalizer import Normalizer, model


@pytest.mark.parametrize("width", [2, 16, 32])
def test_normalizer(pipe, width):
    rng = random.Random(width)
    numbers = [0, 1, (1 << width) - 1, 1 << (width - 1)]
    numbers += [rng.getrandbits(rng.randrange(width + 1)) for _ in range(100)]
    dut = Normalizer(width)
    results = pipe(dut, dut.number, numbers, dut.normalized)
    assert [(r.value, r.zeros) for _, r in results] == [model(n, width) for n in numbers]
    assert [cycle for cycle, _ in results] == [i + dut.stages for i in range(len(numbers))]
