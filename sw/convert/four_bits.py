"""Gives a float checkpoint 4-bit weights, and says what each matrix lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from sw.convert.hessians import READERS
from sw.convert.quantize import (
    output_error,
    quantize_compensated,
    quantize_rounding,
    quantize_search,
)
from sw.load.checkpoint import Checkpoint, EncoderCheckpoint, QuantizedTensor
from sw.progress import watched

AnyCheckpoint = TypeVar("AnyCheckpoint", Checkpoint, EncoderCheckpoint)

_SITE = {name: site for site, names in READERS.items() for name in names}


class Loss(NamedTuple):
    """Square error of a matrix's outputs over their squares, on text that chose nothing."""

    matrix: str
    rounding: float
    chosen: float


def four_bit_weights(
    checkpoint: AnyCheckpoint,
    *,
    compensate: bool,
    hessians: Mapping[str, Tensor] | None = None,
    held_out: Mapping[str, Tensor] | None = None,
) -> tuple[AnyCheckpoint, list[Loss]]:
    """Quantize the float matrices of all layers; embedding and head stay as they are.

    Parameters
    ----------
    checkpoint : Checkpoint or EncoderCheckpoint
        Matrices that are quantized already stay so.
    compensate : bool
        True to compensate errors; without Hessians, to choose the grid of each group by search.
        False to round to the nearest.
    hessians : mapping of str to Tensor, optional
        As of :mod:`sw.convert.hessians`.
    held_out : mapping of str to Tensor, optional
        The same on another text, by which losses are measured.

    Returns
    -------
    checkpoint : Checkpoint or EncoderCheckpoint
        With those matrices in 4 bits.
    losses : list of Loss
        One a matrix if there is a text held out.
    """
    tensors, losses = dict(checkpoint.tensors), []
    names = [name for name, tensor in tensors.items() if _is_float_matrix(name, tensor)]
    for name in watched(names, "4-bit weights"):
        weights = np.asarray(tensors[name])
        _, layer, matrix, _ = name.split(".")
        site = f"blk.{layer}.{_SITE[matrix]}"
        hessian = None if hessians is None else hessians[site]
        tensors[name] = chosen = _quantize(weights, hessian, compensate)
        if held_out is not None:
            rounding = chosen if not compensate else quantize_rounding(weights)
            lost = (output_error(weights, each, held_out[site]) for each in (rounding, chosen))
            losses.append(Loss(name.removesuffix(".weight"), *lost))
    return dataclasses.replace(checkpoint, tensors=tensors), losses


def _quantize(weights: np.ndarray, hessian: Tensor | None, compensate: bool) -> QuantizedTensor:
    if not compensate:
        return quantize_rounding(weights)
    return quantize_search(weights) if hessian is None else quantize_compensated(weights, hessian)


def _is_float_matrix(name: str, tensor: QuantizedTensor | np.ndarray) -> bool:
    return name.startswith("blk.") and isinstance(tensor, np.ndarray) and tensor.ndim == 2
