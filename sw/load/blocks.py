"""Unpacks the tensor data of a GGUF file: floats, and blocks of 32 quantized weights.

Source of the layouts: the block structures of ggml (``block_q4_0``, ``block_q4_1``,
``block_q8_0``). A block begins with its scale in half precision (Q4_1: then its minimum); 4-bit
blocks hold weights 0 to 15 in the low and 16 to 31 in the high nibbles of 16 bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sw.load.checkpoint import GROUP, QuantizedTensor

_HALF = 2
_CENTRE = 8


def unpack(kind: str, data: np.ndarray) -> QuantizedTensor | np.ndarray:
    """Unpack one tensor.

    Parameters
    ----------
    kind : str
        One of ``SUPPORTED_TYPES``.
    data : numpy.ndarray
        The file's data: uint8, shape (rows, bytes per row), for quantized types; half or single
        precision in the tensor's shape otherwise.

    Returns
    -------
    QuantizedTensor or numpy.ndarray
        A copy of its own; float32 unless quantized.

    Raises
    ------
    ValueError
        If a scale or a value is not finite.
    """
    return _UNPACKERS[kind](data)


def _floats(data: np.ndarray) -> np.ndarray:
    return _finite(np.array(data, dtype=np.float32))


def _q4_0(data: np.ndarray) -> QuantizedTensor:
    blocks = _blocks(data, _HALF + GROUP // 2)
    return _tensor("Q4_0", _nibbles(blocks[..., _HALF:]), _half(blocks, 0))


def _q4_1(data: np.ndarray) -> QuantizedTensor:
    blocks = _blocks(data, 2 * _HALF + GROUP // 2)
    scale, minimum = _half(blocks, 0), _half(blocks, _HALF)
    codes = _nibbles(blocks[..., 2 * _HALF :])
    return _tensor("Q4_1", codes, scale, _finite(minimum + _CENTRE * scale))


def _q8_0(data: np.ndarray) -> QuantizedTensor:
    blocks = _blocks(data, _HALF + GROUP)
    return _tensor("Q8_0", blocks[..., _HALF:].view(np.int8), _half(blocks, 0))


def _blocks(data: np.ndarray, size: int) -> np.ndarray:
    return np.ascontiguousarray(data).reshape(data.shape[0], -1, size)


def _half(blocks: np.ndarray, start: int) -> np.ndarray:
    """Half-precision field of every block as float32, shape (rows, groups)."""
    field = np.ascontiguousarray(blocks[..., start : start + _HALF])
    return _finite(field.view("<f2")[..., 0].astype(np.float32))


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """Codes -8..7 of every block, shape (rows, groups, 32)."""
    codes = np.concatenate([packed & 0x0F, packed >> 4], axis=-1).view(np.int8)
    codes -= _CENTRE
    return codes


def _tensor(
    kind: str, codes: np.ndarray, scale: np.ndarray, offset: np.ndarray | None = None
) -> QuantizedTensor:
    return QuantizedTensor(
        kind=kind,
        codes=np.ascontiguousarray(codes).reshape(codes.shape[0], -1),
        scale=scale,
        offset=np.zeros_like(scale) if offset is None else offset,
    )


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("it holds infinities or NaN")
    return values


_UNPACKERS: dict[str, Callable[[np.ndarray], QuantizedTensor | np.ndarray]] = {
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q8_0": _q8_0,
    "F16": _floats,
    "F32": _floats,
}
SUPPORTED_TYPES = tuple(_UNPACKERS)
