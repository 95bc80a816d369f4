"""Vector functions of encoders (``docs/arithmetic.md`` §15).

Vector words are int64 tensors; leading dimensions are tokens, each computed on its own.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from hw.spec.luts import PHI
from hw.spec.scales import SCALE_FRACTION
from sw.convert.encoder import FixedPoint
from sw.golden.integers import FRACTION, WORD, look_up, rescale, saturate, saturating_shift, shift
from sw.golden.vector import Scaled, inverse_rms, scaled

_PHI = torch.tensor([0, *PHI, 32768])
_PHI_STEPS = 7  # the table has 2^7 entries per unit
_ONE = 32768

#: LayerNorm's EPS must be below.
EPSILON_LIMIT = 1 << 32


def words(numbers: FixedPoint, fraction: int) -> Tensor:
    """Words with so many fraction bits of numbers that have no more."""
    values = torch.from_numpy(numbers.values.astype(np.int64))
    return saturating_shift(values, numbers.fraction - fraction, WORD)


def sum_rows(rows: Tensor, multiplier: int, k: int) -> Tensor:
    """Add up the rows of shape (rows, ...) and rescale the sum."""
    return rescale(rows.sum(0), multiplier, k)


def reciprocal(number: int) -> Scaled:
    """Reciprocal of a positive integer as a mantissa and an exponent."""
    return scaled(Decimal(1) / number)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """LayerNorm that makes words.

    Attributes
    ----------
    gamma : Tensor
        Gains, int64, shape (d,), with ``gamma_fraction`` fraction bits.
    gamma_fraction : int
        gf.
    beta : Tensor
        Offsets, words, shape (d,).
    epsilon : int
        EPS: epsilon times d in squared units of the words.
    root : Scaled
        The square root of d.
    mean : Scaled
        1 / d.
    fraction : int
        Fraction bits RF of the words.
    """

    gamma: Tensor
    gamma_fraction: int
    beta: Tensor
    epsilon: int
    root: Scaled
    mean: Scaled
    fraction: int

    @classmethod
    def of(
        cls,
        gamma: np.ndarray,
        gamma_fraction: int,
        beta: FixedPoint,
        *,
        epsilon: float,
        fraction: int,
    ) -> LayerNorm:
        """Make a norm of stored gains and offsets.

        Parameters
        ----------
        gamma, gamma_fraction
            int16, shape (d,), and their fraction bits.
        beta : FixedPoint
            Shape (d,), at most ``fraction`` fraction bits.
        epsilon : float
            Added to the variance.
        fraction : int
            Fraction bits RF of the words.
        """
        width = len(gamma)
        squared = Fraction(width) * Fraction(epsilon) * Fraction(2) ** (2 * fraction)
        return cls(
            gamma=torch.from_numpy(gamma.astype(np.int64)),
            gamma_fraction=gamma_fraction,
            beta=words(beta, fraction),
            epsilon=max(1, round(squared)),
            root=scaled(Decimal(width).sqrt()),
            mean=reciprocal(width),
            fraction=fraction,
        )

    @property
    def constant(self) -> int:
        """Shift of the products without u."""
        return 15 + self.gamma_fraction - self.root.exponent - self.fraction

    def __call__(self, h: Tensor) -> Tensor:
        """Norm words of shape (..., d)."""
        return layer_norm(
            h,
            self.gamma,
            self.beta,
            epsilon=self.epsilon,
            root=self.root,
            mean=self.mean,
            constant=self.constant,
        )


def layer_norm(
    h: Tensor,
    gamma: Tensor,
    beta: Tensor,
    *,
    epsilon: int,
    root: Scaled,
    mean: Scaled,
    constant: int,
) -> Tensor:
    """Norm words of shape (..., d); of ``root`` only the mantissa matters."""
    centre = rescale(h.sum(-1, keepdim=True), mean.mantissa, -mean.exponent)
    centred = saturate(h - centre, WORD)
    multiplier, u = inverse_rms(centred, epsilon=epsilon, root=root)
    scaled_words = rescale(centred * gamma, multiplier[..., None], (constant + u)[..., None])
    return saturate(scaled_words + beta, WORD)


def gelu(g: Tensor) -> Tensor:
    """Words ``g`` times the normal distribution function of them, F fraction bits."""
    entry = (g >> (FRACTION - _PHI_STEPS)) + len(PHI) // 2
    phi = look_up(_PHI, (entry + 1).clamp(0, len(PHI) + 1))
    return shift(g * phi, 15)


def add_bias(
    bias: Tensor, accumulator: Tensor, k: Tensor, exponents: Tensor, *, fraction: int
) -> Tensor:
    """Turn accumulators of a matrix into words and add biases.

    Parameters
    ----------
    bias : Tensor
        Words with as many fraction bits as the result, shape (rows,) or (..., rows).
    accumulator : Tensor
        Shape (..., rows).
    k : Tensor
        ``f - E - n``, shape (...): f fraction bits before the input's normalization by n.
    exponents : Tensor
        Row exponents r, shape (rows,).
    fraction : int
        Fraction bits of the result.
    """
    shifts = (15 + SCALE_FRACTION - fraction + k)[..., None] - exponents
    return saturate(bias + rescale(accumulator, _ONE, shifts), WORD)
