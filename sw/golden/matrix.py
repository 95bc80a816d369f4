"""Weight matrices in groups, and their product with a coded vector (``docs/arithmetic.md`` §4, §5)."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import BLOCK
from hw.spec.formats import FORMATS, WeightFormat
from hw.spec.params import accumulator_width
from sw.golden.codes import Encoded
from sw.golden.sums import group_sums

#: Width of integers that float64 holds exactly, sign included.
_EXACT_WIDTH = 54

_CODE_RANGES = {"w4": (-8, 7), "w8": (-128, 127)}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Weights ``(d * w + b) * 2^exponent`` in groups of 32 inputs of one output.

    Attributes
    ----------
    fmt : str
        ``"w4"`` or ``"w8"``.
    codes : numpy.ndarray
        Codes w, int8, shape (rows, K).
    d, b : numpy.ndarray
        Scale and offset mantissas, int8, -127..127, shape (rows, G); ``w8`` has b = 0.
    exponent : numpy.ndarray
        Row exponents, integers, shape (rows,).

    Raises
    ------
    ValueError
        If shapes or ranges do not fit each other.
    """

    fmt: str
    codes: np.ndarray
    d: np.ndarray
    b: np.ndarray
    exponent: np.ndarray

    def __post_init__(self) -> None:
        if self.fmt not in FORMATS:
            raise ValueError(f"wanted a weight format of {', '.join(FORMATS)}; got {self.fmt!r}")
        rows, inputs = self.codes.shape
        groups = (rows, -(-inputs // BLOCK))
        for name, part, shape in (
            ("d", self.d, groups), ("b", self.b, groups), ("exponent", self.exponent, (rows,))
        ):
            if part.shape != shape:
                raise ValueError(f"wanted {name} of shape {shape}, got {part.shape}")
            if name != "exponent" and np.any(part == -128):
                raise ValueError(f"wanted {name} in -127..127, got -128")
        low, high = _CODE_RANGES[self.fmt]
        if self.codes.min() < low or self.codes.max() > high:
            raise ValueError(f"{self.fmt} codes must be {low}..{high}: requantize the matrix")
        if self.fmt == "w8" and self.b.any():
            raise ValueError("w8 matrices have no offsets: b must be 0")
        if accumulator_width(inputs) > _EXACT_WIDTH:
            raise ValueError(f"a matrix of {inputs} inputs is too long for exact float64 sums")

    @classmethod
    def of(cls, arrays: object) -> Matrix:
        """Make a matrix of any object that has its attributes; a matrix is returned as it is."""
        if isinstance(arrays, cls):
            return arrays
        fields = (field.name for field in dataclasses.fields(cls))
        return cls(**{name: getattr(arrays, name) for name in fields})

    @property
    def rows(self) -> int:
        """Number of outputs."""
        return self.codes.shape[0]

    @property
    def inputs(self) -> int:
        """Number of inputs, padding excluded."""
        return self.codes.shape[1]

    @property
    def format(self) -> WeightFormat:
        """The format's entry in ``hw.spec.formats``."""
        return FORMATS[self.fmt]

    @functools.cached_property
    def exponents(self) -> Tensor:
        """Row exponents as a tensor, int64, shape (rows,)."""
        return torch.from_numpy(self.exponent.astype(np.int64))

    @functools.cached_property
    def values(self) -> Tensor:
        """``d * w + b``, float64, shape (rows, K): 8 bytes a weight, made once."""
        values = torch.from_numpy(self.codes).double()
        for part, apply in ((self.d, Tensor.mul_), (self.b, Tensor.add_)):
            spread = torch.from_numpy(part).repeat_interleave(BLOCK, 1)[:, : self.inputs]
            apply(values, spread)
        return values

    def row_values(self, rows: Tensor) -> Tensor:
        """``d * w`` of some rows of a ``w8`` matrix, int64, shape (..., K)."""
        index = rows.numpy()
        spread = np.repeat(self.d[index].astype(np.int64), BLOCK, -1)[..., : self.inputs]
        return torch.from_numpy(self.codes[index] * spread)

    def matvec(self, encoded: Encoded) -> Tensor:
        """Multiply coded vectors: ``sum over groups of S_g * (d * P + b * X)``, exactly.

        Because X sums the decoded values of a group, this is ``sum of S_g * D * (d * w + b)``;
        float64 adds integers below 2^53 exactly in any order.

        Parameters
        ----------
        encoded : Encoded
            Vectors of K elements, leading shape (...).

        Returns
        -------
        Tensor
            Accumulators, int64, shape (..., rows).
        """
        x = encoded.scaled.double()
        if x.dim() == 1:
            return torch.mv(self.values, x).long()
        return (x @ self.values.T).long()

    def matvec_groups(self, encoded: Encoded) -> Tensor:
        """Multiply as the hardware does, group by group in int64; slow, for tests."""
        weights = functional.pad(torch.from_numpy(self.codes).long(), (0, -self.inputs % BLOCK))
        weights = weights.unflatten(-1, (-1, BLOCK)).transpose(0, 1)  # (G, rows, 32)
        d, b = (torch.from_numpy(part).long().T for part in (self.d, self.b))  # (G, rows)
        sums = encoded.code_sums[..., None]
        if self.fmt == "w8":
            padding = torch.arange(weights.shape[0] * BLOCK).unflatten(0, (-1, 1, BLOCK))
            low = ((weights & 15) - 8).masked_fill(padding >= self.inputs, 0)
            products = 16 * group_sums(encoded, weights >> 4) + group_sums(encoded, low) + 8 * sums
        else:
            products = group_sums(encoded, weights)
        return (encoded.scales[..., None] * (d * products + b * sums)).sum(-2)
