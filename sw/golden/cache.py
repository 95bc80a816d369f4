"""Key and value cache in 8-bit codes with one scale per token and head (arithmetic.md §8)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hw.spec.luts import CACHE_RECIPROCAL
from sw.golden.integers import bits, shift

LARGEST_CODE = 127
_RECIPROCAL = torch.tensor(CACHE_RECIPROCAL)
_MANTISSA_MIN = 64
_PRECISION = 14


class Coded(NamedTuple):
    """Coded vectors, ``codes * mantissa * 2^(exponent - F)``.

    Attributes
    ----------
    codes : Tensor
        -127..127, shape (..., head width).
    mantissa : Tensor
        64..127, shape (...).
    exponent : Tensor
        Shape (...).
    """

    codes: Tensor
    mantissa: Tensor
    exponent: Tensor


def code_heads(y: Tensor) -> Coded:
    """Code vector words of shape (..., head width), each head with its own scale."""
    magnitude = y.abs()
    largest = magnitude.amax(-1, keepdim=True)
    p = bits(largest)
    left, right = (_PRECISION - p).clamp_min(0), (p - _PRECISION).clamp_min(0)
    truncated = (right > 0).long()
    m0 = (((largest << left) >> right) + truncated + LARGEST_CODE - 1) // LARGEST_CODE
    i = (m0 > LARGEST_CODE).long()
    mantissa = ((m0 + i) >> i).masked_fill(largest == 0, _MANTISSA_MIN)
    exponent = (p - _PRECISION + i).masked_fill(largest == 0, 0)
    product = ((magnitude << left) >> right) * _RECIPROCAL[mantissa - _MANTISSA_MIN]
    codes = shift(product, 21 + i).clamp_max(LARGEST_CODE) * y.sign()
    return Coded(codes, mantissa.squeeze(-1), exponent.squeeze(-1))


class HeadCache:
    """Coded keys or values of one layer, growing by tokens.

    Parameters
    ----------
    heads, head_width : int
        Shape of a token's entry.
    context : int
        Most tokens.
    """

    def __init__(self, *, heads: int, head_width: int, context: int) -> None:
        self.length = 0
        # Untouched pages of an empty tensor take no memory.
        self._codes = torch.empty((heads, context, head_width), dtype=torch.int8)
        self._mantissa = torch.empty((heads, context), dtype=torch.int64)
        self._exponent = torch.empty((heads, context), dtype=torch.int64)

    def append(self, y: Tensor) -> None:
        """Code and store words of shape (tokens, heads, head width)."""
        coded = code_heads(y)
        new = slice(self.length, self.length + len(y))
        self._codes[:, new] = coded.codes.transpose(0, 1).to(torch.int8)
        self._mantissa[:, new] = coded.mantissa.T
        self._exponent[:, new] = coded.exponent.T
        self.length = new.stop

    @property
    def coded(self) -> Coded:
        """All entries, heads first: codes of shape (heads, tokens, head width)."""
        used = slice(0, self.length)
        parts = (self._codes, self._mantissa, self._exponent)
        return Coded(*(part[:, used] for part in parts))
