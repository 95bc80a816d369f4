"""Mantissas of weights fitted to what their inputs do: error-compensating rounding of d and b.

A file's 4-bit codes stay as they are; only the rounding of scales and offsets to 8-bit mantissas
is chosen. With the second moments H of a matrix's input, the output of a row errs by
``e^T A e`` where e are the errors of its mantissas and A is H seen through the codes. Rounding goes
from the last mantissa to the first, each time about the best values of those that are left
(Babai's nearest plane), and then takes single steps that help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import BLOCK
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.convert.convert import PARTS
from sw.convert.weights import LARGEST_MANTISSA, mantissas
from sw.load.checkpoint import Checkpoint, QuantizedTensor

#: Site whose moments belong to a matrix, by the last part of the matrix's name.
_SITES = {
    "qkv": "attn_q",
    "attn_output": "attn_output",
    "gate_up": "ffn_gate",
    "ffn_down": "ffn_down",
}

#: Share of the mean square that is added to every input: what the text did not show.
_DAMPING = 0.01

#: Rounds of single steps, and rows that are computed together.
_SWEEPS, _ROWS = 2, 1024


def refine_model(
    model: ConvertedModel, checkpoint: Checkpoint, moments: Mapping[str, Tensor]
) -> ConvertedModel:
    """Fit the mantissas of all 4-bit matrices whose inputs were observed.

    Parameters
    ----------
    model : ConvertedModel
        Converted from the checkpoint.
    checkpoint : Checkpoint
        Source of scales and offsets in full precision.
    moments : mapping of str to Tensor
        Second moments by tensor, of `sw.convert.sensitivity.observe`.
    """
    matrices = dict(model.matrices)
    for name, matrix in model.matrices.items():
        *prefix, last = name.split(".")
        tensor = ".".join([*prefix, _SITES.get(last, "")])
        if matrix.format.name != "w4" or tensor not in moments:
            continue
        parts = [checkpoint.tensors[f"blk.{prefix[1]}.{part}.weight"] for part in PARTS[last]]
        assert all(isinstance(part, QuantizedTensor) for part in parts)
        scale = np.concatenate([part.scale for part in parts])  # type: ignore[union-attr]
        offset = np.concatenate([part.offset for part in parts])  # type: ignore[union-attr]
        matrices[name] = refine(matrix, scale, offset, moments[tensor])
    return dataclasses.replace(model, matrices=matrices)


def refine(
    matrix: WeightMatrix, scale: np.ndarray, offset: np.ndarray, moment: Tensor
) -> WeightMatrix:
    """Fit d and b of a matrix; codes and row exponents stay.

    Parameters
    ----------
    matrix : WeightMatrix
        A 4-bit matrix whose inputs fill whole groups.
    scale, offset : numpy.ndarray
        Shape (rows, groups): ``weight = scale * code + offset``.
    moment : Tensor
        float64, shape (inputs, inputs): second moments of the input.
    """
    _, _, exponent = mantissas(scale, offset)
    unit = np.ldexp(1.0, exponent.astype(int))[:, None]
    wanted = torch.from_numpy(np.concatenate([scale, offset], axis=1).astype(np.float64) / unit)
    damped = moment + _DAMPING * moment.diagonal().mean() * torch.eye(len(moment)).double()
    codes = torch.from_numpy(matrix.codes).double()
    rounded = torch.cat(
        [
            nearest(quadratic(codes[rows], damped), wanted[rows])
            for rows in (slice(start, start + _ROWS) for start in range(0, len(codes), _ROWS))
        ]
    )
    d, b = rounded.to(torch.int8).numpy().reshape(len(codes), 2, -1).swapaxes(0, 1)
    return dataclasses.replace(
        matrix, d=np.ascontiguousarray(d), b=np.ascontiguousarray(b), exponent=exponent
    )


def quadratic(codes: Tensor, moment: Tensor) -> Tensor:
    """Mean square error of each row's output, as a form of the errors of its d and b.

    Parameters
    ----------
    codes : Tensor
        float64, shape (rows, inputs).
    moment : Tensor
        float64, shape (inputs, inputs).

    Returns
    -------
    Tensor
        float64, shape (rows, 2 * groups, 2 * groups); d first.
    """
    rows, inputs = codes.shape
    groups = inputs // BLOCK
    grouped = codes.view(rows, groups, BLOCK)
    form = torch.empty((rows, 2 * groups, 2 * groups), dtype=torch.float64)
    for group in range(groups):
        columns = moment[:, group * BLOCK : (group + 1) * BLOCK]
        spread = (grouped[:, group] @ columns.T).view(rows, groups, BLOCK)
        form[:, :groups, group] = (spread * grouped).sum(-1)
        form[:, groups:, group] = spread.sum(-1)
    form[:, :groups, groups:] = form[:, groups:, :groups].transpose(1, 2)
    form[:, groups:, groups:] = moment.view(groups, BLOCK, groups, BLOCK).sum((1, 3))
    return form


def nearest(form: Tensor, wanted: Tensor) -> Tensor:
    """Find integers near real numbers under quadratic forms, in the range of mantissas.

    Parameters
    ----------
    form : Tensor
        Positive definite, shape (rows, n, n).
    wanted : Tensor
        Shape (rows, n).
    """
    count = wanted.shape[1]
    small = 1e-9 * form.diagonal(dim1=1, dim2=2).mean(-1)[:, None, None]
    factor = torch.linalg.cholesky(form + small * torch.eye(count).double()).transpose(1, 2)
    chosen = torch.zeros_like(wanted)
    for i in range(count - 1, -1, -1):
        above = (factor[:, i, i + 1 :] * (wanted - chosen)[:, i + 1 :]).sum(1)
        chosen[:, i] = _mantissa(wanted[:, i] + above / factor[:, i, i])
    gradient = (form @ (chosen - wanted)[..., None])[..., 0]
    for _ in range(_SWEEPS):
        for i in range(count):
            better = _mantissa(chosen[:, i] - (gradient[:, i] / form[:, i, i]).round())
            gradient += form[:, :, i] * (better - chosen[:, i])[:, None]
            chosen[:, i] = better
    return chosen


def _mantissa(x: Tensor) -> Tensor:
    return x.round().clamp(-LARGEST_MANTISSA, LARGEST_MANTISSA)
