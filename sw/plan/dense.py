"""What a decoder reads that skips nothing."""

from __future__ import annotations

from typing import NamedTuple

from sw.convert.container import ConvertedModel
from sw.convert.convert import stored_bytes


class DenseBytes(NamedTuple):
    """Bytes that a token needs, each once.

    Attributes
    ----------
    codes, scales : int
        Of the weights that multiply: 4-bit codes, both planes of 8-bit ones; mantissas and offsets.
    cache : int
        Keys and values, with their scales, of all positions.
    """

    codes: int
    scales: int
    cache: int

    @property
    def total(self) -> int:
        """Their sum."""
        return sum(self)


def dense_bytes(model: ConvertedModel, *, position: int) -> DenseBytes:
    """Bytes of a token at a position."""
    c = model.config
    tables = {"embedding", "head"}
    matrices = [matrix for name, matrix in model.matrices.items() if name not in tables]
    matrices.append(model.head)
    stored = sum(map(stored_bytes, matrices))
    codes = sum(
        matrix.codes.size * (4 if matrix.format.name == "w4" else 8) // 8 for matrix in matrices
    )
    cache = 2 * c.layers * c.kv_heads * (c.head_width + 2) * (position + 1)
    return DenseBytes(codes, stored - codes, cache)
