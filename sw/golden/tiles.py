"""Reads weights back from device memory, as ``hw/spec/formats.py`` lays them out."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import BLOCK
from hw.spec.formats import SUM_BEATS, SUM_BITS, W4, WeightFormat
from hw.spec.params import CoreParams


def tile_beats(params: CoreParams, layout: WeightFormat, inputs: int, *, sums: bool) -> int:
    """Count the beats of a tile of a matrix."""
    return -(-inputs // BLOCK) * layout.group_beats(sums=sums) * params.sub_tiles


def read_tiles(
    words: np.ndarray, params: CoreParams, layout: WeightFormat, inputs: int, *, sums: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Decode whole tiles.

    Parameters
    ----------
    words : ndarray
        uint32, the beats of the tiles, ``params.words_per_beat`` for each.
    params : CoreParams
        The core.
    layout : WeightFormat
        Format of the weights.
    inputs : int
        Inputs of the matrix.
    sums : bool
        Groups have row sums.

    Returns
    -------
    values : ndarray
        ``d * w + b``, int64, shape (outputs, inputs).
    excess : ndarray
        By how much ``d * R`` of memory is above what the weights say: 0 if R is right, int64,
        shape (outputs, groups).
    """
    lanes, groups = params.lanes, -(-inputs // BLOCK)
    parts, head = params.sub_tiles, layout.head_beats(sums=sums)
    tiles = len(words) // params.words_per_beat // tile_beats(params, layout, inputs, sums=sums)
    nibbles = (words[:, None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15).astype(np.int64)
    nibbles = nibbles.reshape(tiles, groups, -1, params.words_per_beat * 8)[..., :lanes]
    heads, rows = np.split(nibbles, [head * parts], axis=2)
    # From the parts of a tile, which share its rows, to tiles of the core's width.
    heads = heads.reshape(tiles, groups, parts, head, lanes).transpose(0, 2, 1, 3, 4)
    rows = rows.reshape(tiles, groups, BLOCK, parts, lanes).transpose(0, 3, 1, 2, 4)
    rows = rows.reshape(tiles * parts, groups, BLOCK, lanes)
    scales, row_sums = np.split(heads, [layout.scale_beats], axis=3)
    scales = scales.reshape(tiles * parts, groups, -1, layout.outputs(lanes), 2)
    # Shape (tiles, groups, d and perhaps b, outputs).
    mantissas = ((scales[..., 0] + 16 * scales[..., 1]) ^ 128) - 128
    w = (rows ^ 8) - 8
    d, b = mantissas[:, :, :1], mantissas[:, :, 1:]
    values = d * w + b if layout is W4 else d * (_join(w) + 8)
    values = values.transpose(0, 3, 1, 2).reshape(-1, groups * BLOCK)[:, :inputs]
    if not sums:
        return values, np.zeros((len(values), groups), np.int64)
    real = (np.arange(groups * BLOCK) < inputs).reshape(groups, BLOCK, 1)
    lane_sums = row_sums.reshape(*w.shape[:2], lanes, SUM_BEATS) << np.arange(0, SUM_BITS, 4)
    excess = ((lane_sums.sum(-1) ^ 1 << SUM_BITS - 1) - (1 << SUM_BITS - 1)) - (w * real).sum(2)
    excess = d[:, :, 0] * (excess if layout is W4 else _join(excess))
    return values, excess.transpose(0, 2, 1).reshape(-1, groups)


def _join(lanes: np.ndarray) -> np.ndarray:
    """``16 * h + l`` of neighbouring lanes."""
    return 16 * lanes[..., 1::2] + lanes[..., 0::2]
