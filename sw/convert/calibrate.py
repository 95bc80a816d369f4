"""Calibration: scale constants and silent levels from what a text does to each tensor."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from rich.progress import track

from hw.spec.codes import TABLES, CodeTable
from hw.spec.scales import scale_constant
from sw.convert.container import ConvertedModel, Quantizer
from sw.convert.defaults import ratio
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded, encode
from sw.golden.decoder import GoldenModel
from sw.golden.linear import GoldenLinear, input_site

#: No tensor keeps more integers than this share of its elements on the calibration text.
LARGEST_INTEGER_SHARE = 0.045

#: Vectors of each tensor that are looked at, evenly spread over the text.
VECTORS = 256

#: Factor between the scale constants that are tried, and their largest multiple of the default.
_STEP, _LARGEST = 1.04, 8.0


class _Recorder(GoldenLinear):
    """Keeps what the quantizer of each tensor sees."""

    def __init__(self, model: ConvertedModel, *, table: CodeTable):
        super().__init__(model, table=table)
        self.seen: dict[str, list[torch.Tensor]] = {}

    def __call__(self, name, matrix, x):
        vectors = x if x.ndim == 2 else x[None]
        self.seen.setdefault(input_site(name), []).append(vectors.to(torch.int16))
        return super().__call__(name, matrix, x)


def calibrate(
    model: ConvertedModel, tokens: np.ndarray, *, window: int, text: str, shared: int = 1
) -> ConvertedModel:
    """Fit every quantizer to a text.

    The scale constant starts at the shipped default and grows until at most
    ``LARGEST_INTEGER_SHARE`` of the tensor's elements are integers; the silent level of masked
    tables becomes the most frequent one.

    Parameters
    ----------
    model : ConvertedModel
        Model to fit.
    tokens : numpy.ndarray
        Token ids of the calibration text.
    window : int
        Tokens that are read together.
    text : str
        Name of the text, for the record.
    shared : int
        Neighbouring blocks that share a scale.
    """
    golden = GoldenModel(model)
    recorder = _Recorder(model, table=golden.table)
    golden.golden, recorder.shared = recorder, shared
    starts = range(0, max(len(tokens) - window, 0) + 1, window)
    for start in track(starts, description="calibrating: reading", transient=True):
        golden.reset_cache()
        golden.prefill(tokens[start : start + window].tolist())
    quantizers = {tensor: dict(tables) for tensor, tables in model.quantizers.items()}
    for tensor, vectors in track(
        recorder.seen.items(), description="calibrating: fitting", transient=True
    ):
        x = torch.cat(vectors)
        x = x[:: -(-len(x) // VECTORS)].long()
        for table in TABLES.values():
            if table.linear:
                shipped = quantizers[tensor][table.name]
                quantizers[tensor][table.name] = fit(
                    x, table, ratio(tensor, table.name), shipped, shared=shared
                )
    source = {**model.source, "calibration": {"text": text, "tokens": len(tokens)}}
    return dataclasses.replace(model, quantizers=quantizers, source=source)


def fit(
    x: torch.Tensor, table: CodeTable, start: float, shipped: Quantizer, *, shared: int = 1
) -> Quantizer:
    """Choose constant and silent level of one tensor and table.

    Parameters
    ----------
    x : Tensor
        int64, shape (vectors, K): what the quantizer saw.
    table : CodeTable
        Code table.
    start : float
        Least ratio c.
    shipped : Quantizer
        Source of the threshold.
    shared : int
        Neighbouring blocks that share a scale.
    """
    factor = 1.0
    while True:
        constant = scale_constant(start * factor)
        encoded = encode(
            x, table=table, constant=constant, threshold=shipped.threshold, shared=shared
        )
        too_many = integer_share(encoded) > LARGEST_INTEGER_SHARE
        if not table.ladder or not too_many or factor * _STEP > _LARGEST:
            break
        factor *= _STEP
    silent_level = most_frequent_level(encoded) if table.masked else shipped.silent_level
    return Quantizer(constant=constant, threshold=shipped.threshold, silent_level=silent_level)


def integer_share(encoded: Encoded) -> float:
    """Share of integers among the elements, padding excluded."""
    coded = encoded.classes != CodeClass.PADDING
    return float((encoded.classes == CodeClass.INTEGER).sum() / coded.sum())


def most_frequent_level(encoded: Encoded) -> int:
    """Most frequent level of the window; the lowest of several."""
    coded = encoded.classes != CodeClass.PADDING
    levels = encoded.decoded[coded] + encoded.table.zero
    inside = levels[(levels >= 0) & (levels <= encoded.table.highest)]
    return int(torch.bincount(inside).argmax())
