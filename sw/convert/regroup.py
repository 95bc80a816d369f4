"""Gives the inputs that share an array one weight scale (``docs/crossbar.md`` §1)."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.spec.codes import BLOCK
from hw.spec.formats import W4
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.convert.weights import LARGEST_MANTISSA, mantissas


def shares_scales(matrix: WeightMatrix, rows: int) -> bool:
    """Tell whether scale and offset of an output are those of ``rows`` inputs."""
    each = rows // BLOCK
    firsts = np.arange(matrix.groups) // each * each
    return all((part == part[:, firsts]).all() for part in (matrix.d, matrix.b))


def regroup_matrix(matrix: WeightMatrix, rows: int) -> WeightMatrix:
    """Round a matrix to one scale and offset for ``rows`` inputs of an output, not for 32.

    Parameters
    ----------
    matrix : WeightMatrix
        The matrix.
    rows : int
        Inputs that share a scale, a multiple of 32.

    Returns
    -------
    WeightMatrix
        Of the same format; neighbouring groups have equal mantissas. The same matrix if it is so
        already.
    """
    if shares_scales(matrix, rows):
        return matrix
    outputs, inputs = matrix.codes.shape
    each = rows // BLOCK
    codes = np.empty_like(matrix.codes)
    scale, offset = (np.empty((outputs, matrix.groups)) for _ in range(2))
    exponent = matrix.exponent[:, None].astype(np.int64)
    for first in range(0, matrix.groups, each):
        groups = slice(first, first + each)
        place = slice(first * BLOCK, min((first + each) * BLOCK, inputs))
        d, b = (
            np.repeat(part[:, groups].astype(np.float64), BLOCK, 1)[:, : place.stop - place.start]
            for part in (matrix.d, matrix.b)
        )
        values = np.ldexp(d * matrix.codes[:, place] + b, exponent)
        if matrix.format is W4:
            least, most = values.min(1), values.max(1)
            f, o = (most - least) / 15, least + 8 * (most - least) / 15
            low, high = -8, 7
        else:
            f, o = np.abs(values).max(1) / LARGEST_MANTISSA, np.zeros(outputs)
            low, high = -127, 127
        steps = np.rint((values - o[:, None]) / np.where(f == 0, 1, f)[:, None])
        codes[:, place] = np.clip(steps, low, high).astype(np.int8)
        scale[:, groups], offset[:, groups] = f[:, None], o[:, None]
    d8, b8, exponents = mantissas(scale, offset)
    return WeightMatrix(format=matrix.format, codes=codes, d=d8, b=b8, exponent=exponents)


def regroup(model: ConvertedModel, rows: int) -> ConvertedModel:
    """Regroup every matrix of the layers, and the head, which is no longer tied.

    A model that was converted so, `firstspike convert --rows`, stays as it is.
    """
    names = [name for name in model.matrices if name.startswith("layers.")]
    if all(shares_scales(m, rows) for m in (model.head, *(model.matrices[n] for n in names))):
        return model
    matrices = {name: regroup_matrix(model.matrices[name], rows) for name in names}
    matrices["head"] = regroup_matrix(model.head, rows)
    source = {**model.source, "rows": rows}
    return dataclasses.replace(model, matrices={**model.matrices, **matrices}, source=source)
