"""4-bit weights of our own for float matrices: plain rounding, search, and error compensation.

A group of 32 inputs has a scale and an offset that are 8-bit mantissas of the row's power of two
(``docs/arithmetic.md`` §4), so that a converted matrix is exactly what is chosen here.
Compensation follows GPTQ (Frantar et al., arXiv 2210.17323): inputs are rounded one after the
other, and what a rounding changes at the output is taken back by the inputs that follow.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sw.errors import UserError
from sw.golden.fake_weights import LARGEST_MANTISSA, quantize_q4_1, row_unit
from sw.load.checkpoint import GROUP, QuantizedTensor

#: Part of the mean diagonal that is added to a Hessian.
DAMPING = 0.03

#: Ranges that a group's grid is tried with, as parts of what its weights span.
_SHRINKING = tuple(1 - 0.04 * i for i in range(14))

_LEAST, _MOST = -8, 7


def quantize_rounding(weights: np.ndarray) -> QuantizedTensor:
    """Round to the nearest of 16 levels between a group's least and largest weight.

    Parameters
    ----------
    weights : numpy.ndarray
        float32, shape (rows, inputs), inputs a multiple of 32.

    Raises
    ------
    UserError
        If inputs are no multiple of 32.
    """
    codes, scale, offset = quantize_q4_1(_checked(weights).float())
    return _tensor(codes.double(), scale[..., 0].double(), offset[..., 0].double())


def quantize_search(weights: np.ndarray, importance: Tensor | None = None) -> QuantizedTensor:
    """Round to the grid of each group that gives the least square error.

    Parameters
    ----------
    weights : numpy.ndarray
        As of `quantize_rounding`.
    importance : Tensor, optional
        Factor of the square error of each input, shape (inputs,); 1 if absent.
    """
    groups = _checked(weights).unflatten(-1, (-1, GROUP))
    factor = torch.ones(groups.shape[1:], dtype=torch.float64)
    if importance is not None:
        factor = importance.double().unflatten(0, (-1, GROUP))
    scale, offset = _grid(groups, factor)
    unit = row_unit(scale, offset)
    scale, offset = ((part / unit).round() * unit for part in (scale, offset))
    return _tensor(_round(groups, scale, offset), scale, offset)


def quantize_compensated(weights: np.ndarray, hessian: Tensor) -> QuantizedTensor:
    """Round so that the errors of a group's inputs cancel at the output.

    Parameters
    ----------
    weights : numpy.ndarray
        As of `quantize_rounding`.
    hessian : Tensor
        Sum of x x^T over inputs x of the matrix, shape (inputs, inputs).
    """
    w = _checked(weights)
    unused = hessian.diagonal() <= 0
    damped = hessian.double().clone()
    damped.diagonal()[unused] = 1.0
    damped.diagonal().add_(DAMPING * damped.diagonal().mean())
    w[:, unused] = 0.0
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor = torch.linalg.cholesky(inverse, upper=True)
    importance = damped.diagonal().unflatten(0, (-1, GROUP))
    unit = row_unit(*_grid(w.unflatten(-1, (-1, GROUP)), importance))
    columns: list[Tensor] = []
    grids = []
    for start in range(0, w.shape[1], GROUP):
        stop = start + GROUP
        block = w[:, start:stop].clone()
        scale, offset = _grid(block[:, None], importance[start // GROUP][None])
        scale, offset = (
            (part / unit).round().clamp(-LARGEST_MANTISSA, LARGEST_MANTISSA) * unit
            for part in (scale, offset)
        )
        grids.append((scale, offset))
        errors = torch.empty_like(block)
        for i in range(GROUP):
            code = _round(block[:, None, i : i + 1], scale, offset)[:, 0, 0]
            columns.append(code)
            rounded = code * scale[:, 0] + offset[:, 0]
            errors[:, i] = (block[:, i] - rounded) / factor[start + i, start + i]
            block[:, i:] -= errors[:, i, None] * factor[start + i, start + i : stop]
        w[:, stop:] -= errors @ factor[start:stop, stop:]
    scale, offset = (torch.cat(parts, 1) for parts in zip(*grids, strict=True))
    return _tensor(torch.stack(columns, 1).unflatten(-1, (-1, GROUP)), scale, offset)


def output_error(weights: np.ndarray, chosen: QuantizedTensor, hessian: Tensor) -> float:
    """Square error of a matrix's outputs over their squares, for inputs of that Hessian."""
    exact = torch.from_numpy(np.asarray(weights)).double()
    wrong = torch.from_numpy(chosen.dequantize()).double() - exact
    power = ((exact @ hessian.double()) * exact).sum()
    return float(((wrong @ hessian.double()) * wrong).sum() / power.clamp_min(1e-300))


def _checked(weights: np.ndarray) -> Tensor:
    if weights.shape[1] % GROUP:
        raise UserError(
            f"4-bit weights come in groups of {GROUP} inputs, and a matrix has {weights.shape[1]}: "
            "convert with --weights w8"
        )
    return torch.from_numpy(np.array(weights, dtype=np.float64))


def _grid(groups: Tensor, importance: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and offset of each group with the least weighted square error, shape (rows, groups)."""
    least, most = groups.aminmax(dim=-1)
    centre, half = (most + least) / 2, (most - least) / 2
    best = torch.full_like(centre, torch.inf)
    scale, offset = torch.zeros_like(centre), centre.clone()
    for part in _SHRINKING:
        tried = 2 * part * half / 15
        start = centre - part * half + 8 * tried
        codes = _round(groups, tried, start)
        fitted = _fit(groups, codes, importance, tried, start)
        error = (groups - codes * fitted[0][..., None] - fitted[1][..., None]).square()
        error = (error * importance).sum(-1)
        better = error < best
        best = torch.where(better, error, best)
        scale = torch.where(better, fitted[0], scale)
        offset = torch.where(better, fitted[1], offset)
    return scale, offset


def _fit(groups, codes, importance, scale, offset) -> tuple[Tensor, Tensor]:
    """Scale and offset that fit codes best, by weighted least squares."""
    total = importance.sum(-1)
    mean = (groups * importance).sum(-1) / total
    middle = (codes * importance).sum(-1) / total
    spread = ((codes - middle[..., None]).square() * importance).sum(-1)
    common = ((codes - middle[..., None]) * groups * importance).sum(-1)
    fits = spread > 0
    slope = torch.where(fits, common / spread.clamp_min(1e-300), scale)
    return slope, torch.where(fits, mean - slope * middle, offset)


def _round(groups: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    divisor = torch.where(scale == 0, 1.0, scale)
    codes = (groups - offset[..., None]) / divisor[..., None]
    return codes.masked_fill((scale == 0)[..., None], 0.0).round().clamp(_LEAST, _MOST)


def _tensor(codes: Tensor, scale: Tensor, offset: Tensor) -> QuantizedTensor:
    return QuantizedTensor(
        kind="Q4_1",
        codes=codes.flatten(-2).to(torch.int8).numpy(),
        scale=scale.float().numpy(),
        offset=offset.float().numpy(),
    )
