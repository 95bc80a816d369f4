"""Rounding, saturation and normalization of integers (``docs/arithmetic.md``, opening and §6).

All tensors are int64 and every function is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Bits of a vector word.
WORD = 24

#: Bits of the quantizer's input.
INPUT = 16

#: Fraction bits of q, k, v, gate and up, and of logits.
FRACTION = 12
LOGIT_FRACTION = 12

_LONGEST_SHIFT = 62


def bits(x: Tensor) -> Tensor:
    """Count the bits of integers of 0 or more; 0 has none."""
    exponent = torch.frexp(x.double()).exponent.long()
    # Above 2^53 the conversion may have rounded up to the next power of two.
    return exponent - ((x >> (exponent - 1).clamp_min(0) == 0) & (x != 0)).long()


def shift(x: Tensor, k: Tensor | int) -> Tensor:
    """Divide by 2^k and round to nearest, halves up.

    Parameters
    ----------
    x : Tensor
        At most 62 bits.
    k : Tensor or int
        Broadcast against x; for k < 0, x * 2^-k must fit 63 bits (`saturating_shift` has no such
        limit).
    """
    if isinstance(k, int):
        if k <= 0:
            return x << -k
        k = min(k, _LONGEST_SHIFT)
        return (x + (1 << (k - 1))) >> k
    right = k.clamp(0, _LONGEST_SHIFT)
    return ((x << (-k).clamp_min(0)) + ((1 << right) >> 1)) >> right


def saturate(x: Tensor, width: int) -> Tensor:
    """Clamp symmetrically to a signed width."""
    largest = (1 << (width - 1)) - 1
    return x.clamp(-largest, largest)


def saturating_shift(x: Tensor, k: Tensor | int, width: int) -> Tensor:
    """Shift and saturate; unlike `shift` alone this is exact for every k."""
    if isinstance(k, int):
        k = torch.tensor(k)
    if bool((k < 0).any()):
        # What exceeds the width before a left shift exceeds it after.
        limit = 1 << width
        x = torch.where(k < 0, x.clamp(-limit, limit), x)
        k = k.clamp_min(width - _LONGEST_SHIFT)
    return saturate(shift(x, k), width)


def look_up(table: Tensor, entry: Tensor) -> Tensor:
    """Take entries of a one-dimensional table, many times faster than indexing."""
    return table.index_select(0, entry.flatten()).view(entry.shape)


def normalize(y: Tensor) -> tuple[Tensor, Tensor]:
    """Scale a vector by a power of two to the 16 bits of the quantizer's input.

    Parameters
    ----------
    y : Tensor
        Shape (..., K).

    Returns
    -------
    x : Tensor
        Shape (..., K), -32767..32767; the largest magnitude is at least 2^14 unless y is zero.
    n : Tensor
        Shape (...): y is near x * 2^n.
    """
    largest = y.abs().amax(-1)
    n = (bits(largest) - (INPUT - 1)).masked_fill(largest == 0, 0)
    return saturate(shift(y, n[..., None]), INPUT), n


def rescale(accumulator: Tensor, multiplier: Tensor | int, k: Tensor | int) -> Tensor:
    """Turn accumulators into vector words: multiply, shift by k, saturate to 24 bits.

    Parameters
    ----------
    accumulator : Tensor
        At most 46 bits.
    multiplier : Tensor or int
        0..65535.
    k : Tensor or int
        Any size.
    """
    return saturating_shift(accumulator * multiplier, k, WORD)
