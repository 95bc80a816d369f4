"""The Verilated core against the integer model of conftest.py, bit for bit."""

import numpy as np
import pytest

from hw.spec.codes import TABLES
from hw.spec.formats import W4, W8
from hw.spec.registers import MAGIC, REGISTERS, Error

pytestmark = pytest.mark.rtl


def _vector(rng, inputs):
    """Heavy-tailed inputs with a block of zeros and one of tiny values, where there is room."""
    x = np.clip(rng.laplace(0, 900, inputs), -32767, 32767).astype(np.int64)
    x[rng.integers(0, inputs)] = 32767
    x[32:64] = 0
    x[64:80] = rng.integers(-3, 4, len(x[64:80]))
    return x


def test_identity(host8, host50):
    for host in (host8, host50):
        assert host.read("magic") == MAGIC
        assert host.read("hash_low") | host.read("hash_high") << 32 == host.params.hash


@pytest.mark.parametrize("weights", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize("sign", [1, -1])
def test_extremes(host8, random_matrix, weights, sign):
    """All weights at their lowest, all codes at their largest, over the longest vector."""
    matrix = random_matrix(np.random.default_rng(0), weights, 6, 224)
    matrix.codes[:], matrix.d[:] = (-8 if weights is W4 else -128), 127
    matrix.b[:] = -127 if weights is W4 else 0
    host8.check(matrix, np.full(224, sign * 255), "companded", codes=True)
    for table in ("integer", "companded", "ttfs8"):
        silent = TABLES[table].silent_level
        host8.check(matrix, np.full(224, sign * 32767), table, silent=silent)


@pytest.mark.parametrize("weights", [W4, W8], ids=["w4", "w8"])
@pytest.mark.parametrize("inputs", [2, 33, 70])
def test_several_streams(host50, random_matrix, weights, inputs):
    """Four scaler streams of unequal length, seven words a beat; groups wait for the scaler."""
    rng = np.random.default_rng(inputs)
    matrix = random_matrix(rng, weights, 143, inputs)
    x = _vector(rng, inputs)
    host50.check(matrix, x, "companded")
    host50.check(matrix, x * 0, "companded")


def test_weight_base(host8, random_matrix):
    rng = np.random.default_rng(5)
    first, second = (random_matrix(rng, W4, 8, 40) for _ in range(2))
    x = _vector(rng, 40)
    image, tiles = second.image(8, sums=False)
    host8.window("memory", 1428, image)  # ends with the last beat
    assert list(host8.multiply(first, x, "fp4", base=500)) == host8.expected(first, x, "fp4")
    host8.write("weight_base", 1428)
    host8.write("control", 1)
    host8.wait()
    assert list(host8.outputs(8)) == host8.expected(second, x, "fp4")


@pytest.mark.parametrize(
    ("register", "value", "error"),
    [
        ("shape", 0 | 1 << 16, Error.INPUTS),
        ("shape", 225 | 1 << 16, Error.INPUTS),
        ("shape", 32 | 0 << 16, Error.OUTPUTS),
        ("shape", 32 | 6 << 16, Error.OUTPUTS),
        ("weight_base", 1465, Error.MEMORY),
        ("weight_base", 0xFFFFFFFF, Error.MEMORY),
        ("mode", TABLES["ttfs"].number, Error.MODE),
        ("mode", TABLES["ttfs"].number | 1 << 5 | 1 << 6, Error.MODE),
        ("mode", TABLES["octave"].number, Error.MODE),
        ("quantizer", 367 | 1 << 20, Error.MODE),
        ("mode", 15, Error.MODE),
    ],
)
def test_refused(host8, random_matrix, register, value, error):
    """Bad instructions end at once with an error, and the next right one runs."""
    rng = np.random.default_rng(1)
    matrix = random_matrix(rng, W4, 5, 32)
    x = _vector(rng, 32)
    host8.multiply(matrix, x, "companded")
    host8.write(register, value)
    host8.write("control", 1)
    host8.wait(100)
    assert host8.status() == {"busy": 0, "done": 0, "error": error}
    host8.check(matrix, x, "companded")


def test_start_while_busy(host8, random_matrix):
    """A second start changes nothing but the error."""
    rng = np.random.default_rng(2)
    matrix = random_matrix(rng, W4, 40, 200)
    x = _vector(rng, 200)
    image, tiles = matrix.image(8, sums=False)
    host8.start(x, image, tiles, W4, "companded")
    host8.write("control", 1)
    assert host8.status() == {"busy": 1, "done": 0, "error": Error.BUSY}
    host8.wait()
    assert host8.status() == {"busy": 0, "done": 1, "error": Error.BUSY}
    assert list(host8.outputs(40)) == host8.expected(matrix, x, "companded")


@pytest.mark.parametrize("delay", [0, 3, 50, 250, 420, 440, 450, 700, 1000])
def test_reset(host8, random_matrix, delay):
    """An aborted instruction leaves a core that is as good as new; memories keep their words."""
    rng = np.random.default_rng(3)
    matrix = random_matrix(rng, W4, 40, 200)
    x = _vector(rng, 200)
    image, tiles = matrix.image(8, sums=False)
    host8.start(x, image, tiles, W4, "companded")
    host8.transport.tick(delay)
    host8.write("control", 2)
    assert host8.status() == {"busy": 0, "done": 0, "error": 0}
    host8.write("control", 1)
    host8.wait()
    assert list(host8.outputs(40)) == host8.expected(matrix, x, "companded")
    host8.check(random_matrix(rng, W8, 13, 70), _vector(rng, 70), "signed16")


def test_memory_window(host8):
    rng = np.random.default_rng(4)
    words = rng.integers(0, 1 << 32, 1500, dtype=np.uint32)
    host8.window("memory", 0, words)
    host8.write("memory_address", 0)
    got = host8.transport.read_window(REGISTERS["memory_data"].address, 1500)
    assert list(got) == list(words)


def test_faults(host8, random_matrix):
    """A fault strikes the output or the event that it names, and nothing else."""
    rng = np.random.default_rng(6)
    matrix = random_matrix(rng, W4, 20, 64)
    codes = rng.integers(1, 100, 64)
    right = np.array(host8.expected(matrix, codes, "integer", codes=True))
    try:
        host8.write("fault", 2 | 37 << 2 | 13 << 8)
        got = host8.multiply(matrix, codes, "integer", codes=True)
        assert list(np.flatnonzero(got != right)) == [13]
        assert got[13] ^ right[13] in (1 << 37, -1 << 37)

        if host8.params.integrator == "mac":
            host8.write("fault", 1 | 3 << 2 | 40 << 8)
            got = host8.multiply(matrix, codes, "integer", codes=True)
            step = 4 * 8 * matrix.d[:, 1] * matrix.codes[:, 40]
            assert any((got - right == step * sign).all() for sign in (1, -1))
    finally:
        host8.write("fault", 0)
    assert list(host8.multiply(matrix, codes, "integer", codes=True)) == list(right)
