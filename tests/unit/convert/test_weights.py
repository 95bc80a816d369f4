"""Weights in mantissas and exponents, norms, rotary tables."""

import numpy as np
import pytest

from hw.spec.formats import W4, W8
from sw.convert.weights import convert_matrix, convert_norm, mantissas, rope_table
from sw.load.checkpoint import QuantizedTensor
from tests.unit.golden.models import TINY


def quantized(kind: str, rows: int, groups: int, seed: int = 0) -> QuantizedTensor:
    rng = np.random.default_rng(seed)
    low, high = (-128, 128) if kind == "Q8_0" else (-8, 8)
    offset = rng.normal(size=(rows, groups)) if kind == "Q4_1" else np.zeros((rows, groups))
    return QuantizedTensor(
        kind=kind,
        codes=rng.integers(low, high, (rows, groups * 32), dtype=np.int8),
        scale=rng.normal(size=(rows, groups)).astype(np.float32),
        offset=offset.astype(np.float32),
    )


def weights_of(matrix) -> np.ndarray:
    d, b = (m.repeat(32, axis=1)[:, : matrix.inputs].astype(float) for m in (matrix.d, matrix.b))
    return np.ldexp(d * matrix.codes + b, matrix.exponent[:, None].astype(int))


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_codes_stay_as_in_the_file(kind):
    tensor = quantized(kind, 5, 3)
    matrix = convert_matrix([tensor])
    assert matrix.format is (W8 if kind == "Q8_0" else W4)
    assert np.array_equal(matrix.codes, tensor.codes)


def test_mantissas_are_the_nearest_with_the_finest_exponent():
    rng = np.random.default_rng(1)
    scale, offset = rng.normal(size=(2, 40, 7)) * 10.0 ** rng.integers(-6, 6, (40, 1))
    scale[3], offset[3] = 0, 0
    scale[4], offset[4] = 127.4 / 1024, 0  # rounds to 127: fits
    scale[5], offset[5] = 127.6 / 1024, 0  # rounds to 128: needs the next exponent
    d, b, exponent = mantissas(scale, offset)
    unit = np.ldexp(1.0, exponent[:, None].astype(int))
    assert np.array_equal(d, np.rint(scale / unit)) and np.array_equal(b, np.rint(offset / unit))
    largest = np.maximum(np.abs(scale), np.abs(offset)).max(axis=1)
    some = largest > 0
    assert (np.rint(largest / unit[:, 0]) <= 127).all()
    assert (np.rint(largest / unit[:, 0] * 2)[some] > 127).all()
    assert exponent[3] == 0 and exponent[4] == -10 and exponent[5] == -9


def test_float_matrices_become_planes_of_8_bits():
    weights = np.random.default_rng(2).normal(size=(9, 50)).astype(np.float32)
    matrix = convert_matrix([weights])
    assert matrix.format is W8 and matrix.groups == 2 and not matrix.b.any()
    largest = np.abs(weights).max()
    assert np.abs(weights_of(matrix) - weights).max() < largest / 60


def test_mixed_parts_are_stacked_in_8_bits():
    parts = [quantized("Q4_1", 4, 2), quantized("Q8_0", 3, 2)]
    matrix = convert_matrix(parts)
    assert matrix.format is W8 and matrix.rows == 7
    assert np.array_equal(matrix.codes[4:], parts[1].codes)


def test_norm_uses_all_16_bits():
    gamma, fraction = convert_norm(np.array([0.5, -1.25, 3.0], np.float32))
    assert fraction == 13 and gamma.tolist() == [4096, -10240, 24576]
    gamma, fraction = convert_norm(np.array([1.0 - 2**-20], np.float32))
    assert abs(int(gamma[0])) <= 32767


def test_rope_table():
    table = rope_table(TINY)
    assert table.shape == (TINY.context, TINY.head_width // 2, 2) and table.dtype == np.int16
    assert table[0, :, 0].tolist() == [16384] * 5 and not table[0, :, 1].any()
    assert table[1, 0].tolist() == [round(16384 * np.cos(1)), round(16384 * np.sin(1))]
