"""Vector functions of a layer outside attention (``docs/arithmetic.md`` §6, §7, §10 and §11).

Vector words are int64 tensors; leading dimensions are tokens, each computed on its own.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hw.spec.luts import SIGMOID
from hw.spec.scales import SCALE_FRACTION
from sw.golden.integers import (
    FRACTION,
    WORD,
    bits,
    look_up,
    normalize,
    rescale,
    saturate,
    saturating_shift,
    shift,
)

_MULTIPLIER_MAX = 65535
_ROPE_FRACTION = 14
_SIGMOID = torch.tensor([0, *SIGMOID, 32768])
_SIGMOID_STEPS = 6  # the table has 2^6 entries per unit
_ONE = 32768


class Scaled(NamedTuple):
    """A positive constant ``mantissa * 2^exponent``, mantissa in 2^15..65535."""

    mantissa: int
    exponent: int


def scaled(value: Decimal) -> Scaled:
    """Round a positive number to a 16-bit mantissa, to nearest."""
    numerator, denominator = value.as_integer_ratio()
    exponent = numerator.bit_length() - denominator.bit_length() - 16
    while round(Fraction(value) / Fraction(2) ** exponent) > _MULTIPLIER_MAX:
        exponent += 1
    return Scaled(round(Fraction(value) / Fraction(2) ** exponent), exponent)


class Normed(NamedTuple):
    """What RMSNorm hands to a matrix and to the rescaling of its result.

    Attributes
    ----------
    x : Tensor
        Quantizer input, shape (..., d).
    n : Tensor
        Its shift, shape (...).
    multiplier, u : Tensor
        1/rms is ``multiplier * 2^(RF + sq - 15 - u)``, shape (...).
    """

    x: Tensor
    n: Tensor
    multiplier: Tensor
    u: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norm:
    """RMSNorm whose 1/rms multiplies the accumulators of the matrix behind it.

    Attributes
    ----------
    gamma : Tensor
        Gains, int64, shape (d,), with ``gamma_fraction`` fraction bits.
    gamma_fraction : int
        gf.
    epsilon : int
        EPS: epsilon times d in squared units of the residual.
    root : Scaled
        The square root of d.
    """

    gamma: Tensor
    gamma_fraction: int
    epsilon: int
    root: Scaled

    @classmethod
    def of(cls, gamma: np.ndarray, gamma_fraction: int, *, epsilon: float, fraction: int) -> Norm:
        """Make a norm of stored gains.

        Parameters
        ----------
        gamma, gamma_fraction
            int16, shape (d,), and their fraction bits.
        epsilon : float
            Added to the mean square.
        fraction : int
            Fraction bits RF of the residual.
        """
        squared = Fraction(len(gamma)) * Fraction(epsilon) * Fraction(2) ** (2 * fraction)
        return cls(
            gamma=torch.from_numpy(gamma.astype(np.int64)),
            gamma_fraction=gamma_fraction,
            epsilon=max(1, round(squared)),
            root=scaled(Decimal(len(gamma)).sqrt()),
        )

    def __call__(self, h: Tensor) -> Normed:
        """Norm residuals of shape (..., d)."""
        x, n = normalize(h * self.gamma)
        multiplier, u = inverse_rms(h, epsilon=self.epsilon, root=self.root)
        return Normed(x, n, multiplier, u)

    def rescale(
        self, accumulator: Tensor, normed: Normed, exponents: Tensor, base: Tensor, fraction: int
    ) -> Tensor:
        """Turn accumulators of a matrix behind the norm into words.

        Parameters
        ----------
        accumulator : Tensor
            Shape (..., rows).
        normed : Normed
            What the matrix's input came with.
        exponents : Tensor
            Row exponents r, shape (rows,).
        base : Tensor
            Base exponents E, shape (...).
        fraction : int
            Fraction bits of the result.
        """
        constant = 15 + SCALE_FRACTION + self.gamma_fraction - fraction - self.root.exponent
        k = (constant + normed.u - normed.n - base)[..., None] - exponents
        return rescale(accumulator, normed.multiplier[..., None], k)


def inverse_rms(h: Tensor, *, epsilon: int, root: Scaled) -> tuple[Tensor, Tensor]:
    """Multiplier R and exponent u of 1/rms for residuals of shape (..., d)."""
    total = h.square().sum(-1) + epsilon
    u = (bits(total) - 31) >> 1
    a = (total << (-2 * u).clamp_min(0)) >> (2 * u).clamp_min(0)
    s = a.double().sqrt().long()  # a has 32 bits: the rounded root's floor is exact
    c = ((1 << 31) // s).clamp_max(_MULTIPLIER_MAX)
    return (c * root.mantissa + (1 << 15)) >> 16, u


def rotate(y: Tensor, rotary: Tensor, *, interleaved: bool) -> Tensor:
    """Apply the rotary embedding.

    Parameters
    ----------
    y : Tensor
        Words, shape (tokens, heads, head width).
    rotary : Tensor
        Cosines and sines with 14 fraction bits, shape (tokens, head width / 2, 2).
    interleaved : bool
        Pairs are (0, 1), (2, 3), ... if true, else (i, i + head width / 2).
    """
    first, second = (y[..., 0::2], y[..., 1::2]) if interleaved else y.chunk(2, -1)
    cosine, sine = rotary[:, None].unbind(-1)
    turned = tuple(
        saturate(shift(part, _ROPE_FRACTION), WORD)
        for part in (first * cosine - second * sine, first * sine + second * cosine)
    )
    return torch.stack(turned, -1).flatten(-2) if interleaved else torch.cat(turned, -1)


def gate(g: Tensor, u: Tensor) -> Tensor:
    """``silu(g) * u`` with 2 F fraction bits, 47 bits."""
    entry = (g >> (FRACTION - _SIGMOID_STEPS)) + len(SIGMOID) // 2
    sigma = look_up(_SIGMOID, (entry + 1).clamp(0, len(SIGMOID) + 1))
    return shift(g * sigma, 15) * u


def embed(rows: Tensor, exponents: Tensor, *, fraction: int) -> Tensor:
    """Residuals of embedding rows ``w * d``, shape (..., width), with exponents (...)."""
    return saturating_shift(rows, -(exponents + fraction)[..., None], WORD)


def add_residual(
    h: Tensor, accumulator: Tensor, k: Tensor, exponents: Tensor, *, fraction: int
) -> Tensor:
    """Add the result of a matrix to residuals.

    Parameters
    ----------
    h, accumulator : Tensor
        Shape (..., width).
    k : Tensor
        ``f - E - n``, shape (...): f fraction bits before the input's normalization by n.
    exponents : Tensor
        Row exponents r, shape (width,).
    fraction : int
        Fraction bits RF of the residual.
    """
    shifts = (15 + SCALE_FRACTION - fraction + k)[..., None] - exponents
    return saturate(h + rescale(accumulator, _ONE, shifts), WORD)
