"""Weights and tables of a converted model (``docs/arithmetic.md`` §4, §6 and §7)."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import BLOCK
from hw.spec.formats import W4, W8, WeightFormat
from sw.convert.container import WeightMatrix
from sw.load.checkpoint import LlamaConfig, QuantizedTensor

LARGEST_MANTISSA = 127
ROPE_FRACTION = 14


def convert_matrix(parts: list[QuantizedTensor | np.ndarray]) -> WeightMatrix:
    """Stack matrices that read the same input into one matrix of integers.

    4-bit codes stay as they are in the file where all parts have them; float parts, and 4-bit parts
    beside 8-bit ones, become 8-bit groups.

    Parameters
    ----------
    parts : list of QuantizedTensor or numpy.ndarray
        Matrices of equal inputs, shape (rows, inputs); arrays are float.
    """
    weight_format = W4 if all(_is_w4(part) for part in parts) else W8
    codes, scale, offset = (
        np.concatenate(column)
        for column in zip(*(_groups(part, weight_format) for part in parts), strict=True)
    )
    d, b, exponent = mantissas(scale, offset)
    return WeightMatrix(format=weight_format, codes=codes, d=d, b=b, exponent=exponent)


def _is_w4(part: QuantizedTensor | np.ndarray) -> bool:
    return isinstance(part, QuantizedTensor) and part.kind in ("Q4_0", "Q4_1")


def _groups(part, weight_format: WeightFormat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if isinstance(part, QuantizedTensor) and (_is_w4(part) == (weight_format is W4)):
        return part.codes, part.scale, part.offset
    weights = part.dequantize() if isinstance(part, QuantizedTensor) else np.asarray(part)
    return quantize_groups(weights)


def quantize_groups(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Round float weights to 8-bit codes with one scale per group of 32 inputs.

    Returns
    -------
    codes : numpy.ndarray
        int8, shape (rows, inputs), -127..127.
    scale, offset : numpy.ndarray
        float32, shape (rows, groups); the offset is zero.
    """
    rows, inputs = weights.shape
    groups = -(-inputs // BLOCK)
    padded = np.zeros((rows, groups, BLOCK), np.float64)
    padded.reshape(rows, -1)[:, :inputs] = weights
    scale = np.abs(padded).max(axis=-1) / LARGEST_MANTISSA
    codes = np.rint(padded / np.where(scale == 0, 1, scale)[..., None]).astype(np.int8)
    scale = scale.astype(np.float32)
    return codes.reshape(rows, -1)[:, :inputs], scale, np.zeros_like(scale)


def mantissas(scale: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signed 8-bit mantissas d and b with one power-of-two exponent per row.

    Parameters
    ----------
    scale, offset : numpy.ndarray
        float, shape (rows, groups).

    Returns
    -------
    d, b : numpy.ndarray
        int8, shape (rows, groups), -127..127.
    exponent : numpy.ndarray
        int16, shape (rows,).
    """
    scale, offset = scale.astype(np.float64), offset.astype(np.float64)
    largest = np.maximum(np.abs(scale), np.abs(offset)).max(axis=1)
    _, bits = np.frexp(largest)  # largest in [2^(bits-1), 2^bits)
    exponent = np.where(largest == 0, 0, bits - 7).astype(np.int16)
    exponent += np.rint(np.ldexp(largest, -exponent)) > LARGEST_MANTISSA
    d = np.rint(np.ldexp(scale, -exponent[:, None])).astype(np.int8)
    b = np.rint(np.ldexp(offset, -exponent[:, None])).astype(np.int8)
    return d, b, exponent


def convert_norm(gamma: np.ndarray) -> tuple[np.ndarray, int]:
    """Gains as 16-bit integers with the most fraction bits that fit."""
    largest = float(np.abs(gamma).max()) or 1.0
    fraction = 15 - int(np.frexp(largest)[1])
    if round(largest * 2**fraction) > 32767:
        fraction -= 1
    return np.rint(gamma.astype(np.float64) * 2.0**fraction).astype(np.int16), fraction


def rope_table(config: LlamaConfig) -> np.ndarray:
    """Cosine and sine of every position and pair.

    Returns
    -------
    numpy.ndarray
        int16, shape (context, head_width / 2, 2), 14 fraction bits.
    """
    pairs = np.arange(config.head_width // 2, dtype=np.float64)
    frequency = config.rope_theta ** (-2 * pairs / config.head_width)
    angle = np.arange(config.context, dtype=np.float64)[:, None] * frequency
    table = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.rint(table * 2**ROPE_FRACTION).astype(np.int16)
