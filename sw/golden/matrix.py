"""Weight matrices and their product with coded vectors (``docs/arithmetic.md`` §4 and §5)."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import BLOCK
from hw.spec.scales import LARGEST_RELATIVE_SCALE
from sw.convert.container import WeightMatrix
from sw.golden.codes import Encoded
from sw.golden.sums import group_sums

#: Bits of an accumulator's magnitude: its product with a 16-bit multiplier must fit int64.
_ACCUMULATOR_BITS = 46

_CODE_RANGES = {"w4": (-8, 7), "w8": (-128, 127)}
_LARGEST_VALUE = {"w4": 127 * (8 + 1), "w8": 127 * 128}  # of d * w + b
_LARGEST_DECODED = 128  # of the tables for linear layers


class Matrix:
    """A matrix of integers, made ready for products.

    Parameters
    ----------
    weights : WeightMatrix
        Codes w, mantissas d, offsets b and row exponents.

    Attributes
    ----------
    weights : WeightMatrix
        As given.
    exponents : Tensor
        Row exponents r, int64, shape (rows,).

    Raises
    ------
    ValueError
        If shapes or ranges do not fit each other.
    """

    def __init__(self, weights: WeightMatrix) -> None:
        rows, inputs = weights.codes.shape
        groups = (rows, -(-inputs // BLOCK))
        expected = {"d": groups, "b": groups, "exponent": (rows,)}
        for name, shape in expected.items():
            if getattr(weights, name).shape != shape:
                raise ValueError(f"wanted {name} of {shape}, got {getattr(weights, name).shape}")
        low, high = _CODE_RANGES[weights.format.name]
        if weights.codes.min() < low or weights.codes.max() > high:
            raise ValueError(f"{weights.format.name} codes must be {low}..{high}: requantize them")
        if min(weights.d.min(), weights.b.min()) < -127:
            raise ValueError("mantissas d and b must be -127..127, got -128: requantize them")
        if weights.format.name == "w8" and weights.b.any():
            raise ValueError("w8 has no offsets: b must be 0")
        largest = _LARGEST_VALUE[weights.format.name] * _LARGEST_DECODED * LARGEST_RELATIVE_SCALE
        if inputs * largest >> _ACCUMULATOR_BITS:
            raise ValueError(f"{inputs} inputs can exceed {_ACCUMULATOR_BITS} bits: split them")
        self.weights = weights
        self.exponents = torch.from_numpy(weights.exponent.astype(np.int64))

    @functools.cached_property
    def values(self) -> Tensor:
        """``d * w + b``, float64, shape (rows, inputs): 8 bytes a weight, made once."""
        values = torch.from_numpy(self.weights.codes).double()
        values.mul_(self._spread(self.weights.d))
        return values.add_(self._spread(self.weights.b)) if self.weights.b.any() else values

    def _spread(self, mantissas: np.ndarray) -> Tensor:
        spread = torch.from_numpy(mantissas).repeat_interleave(BLOCK, -1)
        return spread[..., : self.weights.inputs]

    def rows(self, index: np.ndarray) -> Tensor:
        """``d * w`` of some rows of a ``w8`` matrix, int64, shape (..., inputs)."""
        codes = torch.from_numpy(self.weights.codes[index]).long()
        return codes * self._spread(self.weights.d[index])

    def matvec(self, encoded: Encoded) -> Tensor:
        """Multiply coded vectors: ``sum over groups of S_g * (d * P + b * X)``, exactly.

        X sums the same codes as P, so this is the sum of ``S_g * D * (d * w + b)``, and float64
        adds integers below 2^53 exactly in any order.

        Parameters
        ----------
        encoded : Encoded
            Vectors, leading shape (...).

        Returns
        -------
        Tensor
            Accumulators, int64, shape (..., rows).
        """
        x = encoded.scaled.double()
        product = torch.mv(self.values, x) if x.dim() == 1 else x @ self.values.T
        return product.long()

    def matvec_groups(self, encoded: Encoded) -> Tensor:
        """Multiply as the hardware does, group by group, nibble by nibble; slow, for tests."""
        codes = torch.from_numpy(self.weights.codes).long()
        codes = functional.pad(codes, (0, -self.weights.inputs % BLOCK))
        codes = codes.unflatten(-1, (-1, BLOCK)).transpose(0, 1)  # (G, rows, 32)
        d, b = (torch.from_numpy(part).long().T for part in (self.weights.d, self.weights.b))
        sums = encoded.code_sums[..., None]
        if self.weights.format.name == "w8":
            column = torch.arange(codes.shape[0] * BLOCK).unflatten(0, (-1, 1, BLOCK))
            low = ((codes & 15) - 8).masked_fill(column >= self.weights.inputs, 0)
            products = 16 * group_sums(encoded, codes >> 4) + group_sums(encoded, low) + 8 * sums
        else:
            products = group_sums(encoded, codes)
        return (encoded.scales[..., None] * (d * products + b * sums)).sum(-2)
