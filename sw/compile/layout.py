"""Lays a matrix out in beats of synapse memory (``docs/container.md``)."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BEATS, W4
from sw.convert.container import WeightMatrix


def pack_words(matrix: WeightMatrix, lanes: int, *, parts: int, sums: bool) -> np.ndarray:
    """Pack a matrix in tiles; what is missing to a tile or group is zero.

    Parameters
    ----------
    matrix : WeightMatrix
        What to lay out.
    lanes : int
        Lanes of the core.
    parts : int
        Width of a tile in cores.
    sums : bool
        Whether groups have row sums.

    Returns
    -------
    numpy.ndarray
        uint32, shape (tiles, groups, beats of a group, words of a beat).
    """
    layout = matrix.format
    outputs, groups = layout.outputs(lanes), matrix.groups
    tiles = layout.tiles(matrix.rows, lanes * parts) * parts
    whole = np.zeros((tiles * outputs, groups * BLOCK), np.int8)
    whole[: matrix.rows, : matrix.inputs] = matrix.codes
    codes = whole.reshape(tiles, outputs, groups, BLOCK).transpose(0, 2, 3, 1)
    scales = [matrix.d, matrix.b] if layout is W4 else [matrix.d]
    scale_bytes = np.zeros((tiles, groups, len(scales), outputs), np.uint8)
    for i, scale in enumerate(scales):
        padded = np.zeros((tiles * outputs, groups), np.int8)
        padded[: matrix.rows] = scale
        scale_bytes[:, :, i] = padded.reshape(tiles, outputs, groups).transpose(0, 2, 1)
    rows = _planes(codes) if layout is not W4 else codes.astype(np.uint8) & 15
    heads = [_nibbles(scale_bytes).reshape(tiles, groups, layout.scale_beats, lanes)]
    if sums:
        heads.append(_row_sums(rows, matrix.inputs))
    # Heads of all parts, then rows, each a beat of every part.
    head = np.concatenate(heads, axis=2).reshape(
        -1, parts, groups, layout.head_beats(sums=sums), lanes
    )
    body = rows.reshape(-1, parts, groups, BLOCK, lanes)
    beats = [head.transpose(0, 2, 1, 3, 4), body.transpose(0, 2, 3, 1, 4)]
    joined = [part.reshape(tiles // parts, groups, -1, lanes) for part in beats]
    return _words(np.concatenate(joined, axis=2))


def _row_sums(rows: np.ndarray, inputs: int) -> np.ndarray:
    """Sum the nibbles of each lane over a group's inputs; give the sums' own nibbles in beats."""
    tiles, groups, _, lanes = rows.shape
    weights = (rows ^ 8).astype(np.int16).reshape(tiles, -1, lanes) - 8
    weights[:, inputs:] = 0
    sums = weights.reshape(rows.shape).sum(axis=2, dtype="<i2")
    as_bytes = np.ascontiguousarray(sums).view(np.uint8)
    return _nibbles(as_bytes).reshape(tiles, groups, SUM_BEATS, lanes)


def _nibbles(values: np.ndarray) -> np.ndarray:
    """Split bytes into nibbles along the last axis, the low one first."""
    return np.stack([values & 15, values >> 4], axis=-1).reshape(*values.shape[:-1], -1)


def _planes(codes: np.ndarray) -> np.ndarray:
    """Split 8-bit codes ``16 * h + l + 8`` into lanes l, h."""
    bits = codes.astype(np.uint8)
    return np.stack([bits & 15 ^ 8, bits >> 4], axis=-1).reshape(*codes.shape[:-1], -1)


def _words(nibbles: np.ndarray) -> np.ndarray:
    """Pack nibbles along the last axis into 32-bit words, the first in the lowest bits."""
    *shape, lanes = nibbles.shape
    padded = np.zeros((*shape, -(-lanes // 8) * 8), np.uint8)
    padded[..., :lanes] = nibbles
    pairs = np.ascontiguousarray(padded[..., 0::2] | padded[..., 1::2] << 4)
    return pairs.view("<u4")
