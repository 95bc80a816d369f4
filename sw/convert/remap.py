"""Chooses weights by what their crossbar cells have become (``docs/crossbar.md`` §3)."""

from __future__ import annotations

import dataclasses

import torch
from rich.progress import track
from torch import Tensor

from hw.spec.crossbar import Crossbar
from hw.spec.formats import W4
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.golden.crossbar import CrossbarArrays, nibbles
from sw.golden.crossbar_linear import matrix_numbers


def remap_matrix(
    matrix: WeightMatrix, crossbar: Crossbar, *, number: int, lanes: int
) -> WeightMatrix:
    """Write into each place the code whose cells, as they are, come nearest to the weight.

    A cell that is stuck is made up for by the other cells of its weight where these can. It takes
    what every chip can tell: its cells, read after they were written.

    Parameters
    ----------
    matrix : WeightMatrix
        The matrix.
    crossbar : Crossbar
        The arrays; their seed says what the cells are like.
    number, lanes : int
        Number of the matrix, and columns of an array.

    Returns
    -------
    WeightMatrix
        With other codes.
    """
    wanted = nibbles(matrix)
    best, least = wanted.clone(), torch.full_like(wanted, torch.iinfo(torch.int64).max)
    for code in filter(crossbar.cells.holds, range(-8, 8)):
        candidate = torch.full_like(wanted, code)
        arrays = CrossbarArrays(candidate, crossbar, number=number, lanes=lanes)
        error = _distance(arrays, wanted) * 32 + (candidate - wanted).abs()
        best = torch.where(error < least, code, best)
        least = torch.minimum(error, least)
    if matrix.format is not W4:
        pairs = best.unflatten(-1, (-1, 2))
        best = pairs[..., 1] * 16 + pairs[..., 0] + 8
    return dataclasses.replace(matrix, codes=best.T.contiguous().to(torch.int8).numpy())


def _distance(arrays: CrossbarArrays, wanted: Tensor) -> Tensor:
    """Distance of cells from weights in 1/256 level, of all lines of an input together."""
    total: Tensor | int = 0
    for reading, lines in zip(arrays.crossbar.cells.readings, arrays._lines, strict=True):
        total = total + reading.factor * sum(sign * values for sign, values in lines)
    assert isinstance(total, Tensor)
    found = total.long().transpose(0, 1).flatten(1, 2)[:, : len(wanted)]  # (lines, inputs, columns)
    signs = torch.tensor([1, -1][: len(found)])[:, None, None]
    return (found - 256 * signs * wanted).abs().sum(0)


def remap(model: ConvertedModel, crossbar: Crossbar, *, lanes: int) -> ConvertedModel:
    """Choose the codes of every matrix of the layers, and of the head, which is no longer tied."""
    numbers = matrix_numbers(model)
    matrices = {
        name: remap_matrix(
            model.head if name == "head" else model.matrices[name],
            crossbar,
            number=number,
            lanes=lanes,
        )
        for name, number in track(numbers.items(), "choosing weights by cells", transient=True)
    }
    source = {**model.source, "remapped": crossbar.seed}
    return dataclasses.replace(model, matrices={**model.matrices, **matrices}, source=source)
