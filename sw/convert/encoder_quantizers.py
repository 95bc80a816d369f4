"""Quantizers of encoders: shipped ones, and calibrated ones, with wider dead zones if wanted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import DEFAULT_THRESHOLD, TABLES
from sw.convert.calibrate import fit
from sw.convert.container import Quantizer
from sw.convert.defaults import default_quantizers, ratio, site_of
from sw.golden.fake import block_scale
from sw.golden.fake_encoder import FakeEncoderQuantizers, ratio_of
from sw.golden.float_encoder import (
    LINEAR_SITES,
    SITE_MATRICES,
    EncoderQuantizers,
    FloatEncoder,
    pad,
)
from sw.load.checkpoint import EncoderCheckpoint
from sw.progress import watched

#: Quantizer of every tensor for every table.
Quantizers = dict[str, dict[str, Quantizer]]

#: Vectors of each tensor that are looked at.
VECTORS = 1024

#: Vectors of each tensor and batch that are kept.
_FEW = 256

#: Parts of the silence wanted, one after the other, as biases follow what comes out before them.
_WIDENING = (0.5, 0.7, 0.85, 1.0, 1.0)

#: Largest threshold that a quantizer holds, in parts of the scale.
_LARGEST, _PARTS = 255, 8
_BLOCK = 32


class Recorder(EncoderQuantizers):
    """Keeps a sample of the vectors of each tensor, those of padding left out."""

    def __init__(self, generator: torch.Generator, inner: EncoderQuantizers | None = None) -> None:
        self.seen: dict[str, list[Tensor]] = {}
        self.mask = torch.ones(1, 1, dtype=torch.bool)
        self._generator, self._inner = generator, inner or EncoderQuantizers()

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Keep some of the vectors."""
        if x.dim() == 4:  # queries: batch, heads, time, head width
            vectors = x.transpose(1, 2)[self.mask].flatten(0, 1)
        else:
            vectors = x[self.mask] if x.dim() == 3 else x
        few = torch.randperm(len(vectors), generator=self._generator)[:_FEW]
        self.seen.setdefault(site, []).append(vectors[few].detach().clone())
        return self._inner.linear_input(x, site)

    def __getattr__(self, name: str):
        return getattr(self._inner, name)


@torch.no_grad()
def record(
    model: FloatEncoder,
    sentences: Sequence[list[int]],
    *,
    seed: int,
    inner: EncoderQuantizers | None = None,
    batch: int = 16,
) -> dict[str, Tensor]:
    """Sample what the quantizers of a model see.

    Parameters
    ----------
    model : FloatEncoder
        Model to run.
    sentences : sequence of list of int
        Token ids.
    seed : int
        Chooses the vectors.
    inner : EncoderQuantizers, optional
        Quantizes while it is recorded what comes in; nothing if absent.
    batch : int
        Sentences that are computed together.

    Returns
    -------
    dict of str to Tensor
        float32, shape (vectors, K), at most ``VECTORS`` of each tensor.
    """
    recorder = Recorder(torch.Generator().manual_seed(seed), inner)
    kept, model.quantizers = model.quantizers, recorder
    try:
        for start in range(0, len(sentences), batch):
            tokens, recorder.mask = pad(list(sentences[start : start + batch]))
            model(tokens, recorder.mask)
    finally:
        model.quantizers = kept
    return {tensor: torch.cat(parts)[:VECTORS] for tensor, parts in recorder.seen.items()}


def calibrated(layers: int, seen: Mapping[str, Tensor]) -> Quantizers:
    """Fit the quantizers of every code table to recorded vectors.

    As of `sw.convert.calibrate.fit`: scale constants grow until few elements are integers, and the
    silent level of masked tables becomes the most frequent one.
    """
    quantizers = default_quantizers(layers)
    tensors = [tensor for tensor in quantizers if tensor in seen]
    for tensor in watched(tensors, "calibrating"):
        x = as_inputs(seen[tensor][:256])
        for table in TABLES.values():
            if table.linear:
                shipped = quantizers[tensor][table.name]
                quantizers[tensor][table.name] = fit(x, table, ratio(tensor, table.name), shipped)
    return quantizers


def as_inputs(vectors: Tensor) -> Tensor:
    """Round float vectors to the 16 bits that a quantizer sees, each normalized on its own."""
    largest = vectors.abs().amax(-1, keepdim=True).clamp_min(1e-30)
    exponent = 15 - torch.frexp(largest).exponent
    return torch.ldexp(vectors.double(), exponent).round().long().clamp(-32767, 32767)


def dead_zone(quantizers: Quantizers, table: str, k: int) -> Quantizers:
    """Matterhorn's dead zone: levels within k of zero are silent at every weight matrix."""
    threshold = min(_PARTS * k + DEFAULT_THRESHOLD, _LARGEST)
    return with_thresholds(
        quantizers, table, {tensor: threshold for tensor in quantizers if _has_weights(tensor)}
    )


def silencing(
    quantizers: Quantizers,
    table: str,
    seen: Mapping[str, Tensor],
    target: float,
) -> Quantizers:
    """Choose the silence thresholds that leave a share of all elements silent.

    Every tensor loses the same part of its variance, as far as thresholds of 1/8 of a scale allow:
    what is silent anyway costs nothing, so that tensors with many small elements, as behind GELU,
    give more silence than others. The mean of what a channel loses does not count, as the biases
    behind it can make it up (`bias_corrections`).

    Parameters
    ----------
    quantizers : Quantizers
        Source of the scale constants.
    table : str
        Code table.
    seen : mapping of str to Tensor
        Recorded vectors, shape (vectors, K).
    target : float
        Silent elements of all elements that meet weight matrices, 0..1.
    """
    tensors = [tensor for tensor in quantizers if _has_weights(tensor) and tensor in seen]
    curves = {t: _curve(seen[t], quantizers[t][table].constant) for t in tensors}
    total = sum(seen[t].shape[1] for t in tensors)
    low, high = 0.0, 1.0
    thresholds: dict[str, int] = {}
    for _ in range(30):
        middle = (low + high) / 2
        share = 0.0
        for t in tensors:
            lost, silent = curves[t]
            allowed = int((lost.cummax(0).values <= middle).sum()) - 1
            thresholds[t] = max(allowed, DEFAULT_THRESHOLD)
            share += float(silent[thresholds[t]]) * seen[t].shape[1] / total
        low, high = (middle, high) if share < target else (low, middle)
    return with_thresholds(quantizers, table, thresholds)


def with_thresholds(
    quantizers: Quantizers, table: str, thresholds: Mapping[str, int]
) -> Quantizers:
    """Return quantizers with other silence thresholds of one table, in 1/8 of the scale."""
    changed = {tensor: dict(tables) for tensor, tables in quantizers.items()}
    for tensor, threshold in thresholds.items():
        changed[tensor][table] = dataclasses.replace(changed[tensor][table], threshold=threshold)
    return changed


def thresholds_of(quantizers: Quantizers, table: str) -> dict[str, int]:
    """Silence thresholds of one table, in 1/8 of the scale."""
    return {tensor: tables[table].threshold for tensor, tables in quantizers.items()}


def bias_corrections(
    seen: Mapping[str, Tensor], before: EncoderQuantizers, after: EncoderQuantizers
) -> dict[str, Tensor]:
    """Mean of what the channels of each tensor lose when one quantization follows another.

    Added to the biases of the matrices that read a tensor, times their weights, it leaves the mean
    of their outputs as it was.

    Parameters
    ----------
    seen : mapping of str to Tensor
        Recorded vectors, shape (vectors, K).
    before, after : EncoderQuantizers
        The two.

    Returns
    -------
    dict of str to Tensor
        Shape (K,), by tensor.
    """
    return {
        tensor: (before.linear_input(x, tensor) - after.linear_input(x, tensor)).mean(0)
        for tensor, x in seen.items()
        if _has_weights(tensor)
    }


@torch.no_grad()
def correct_biases(model: FloatEncoder, corrections: Mapping[str, Tensor]) -> None:
    """Add to the biases what `bias_corrections` found, in place."""
    for tensor, lost in corrections.items():
        _, layer, site = tensor.split(".")
        for name in SITE_MATRICES[site]:
            linear = getattr(model.blk[int(layer)], name)
            linear.bias += linear.weight @ lost


def silenced(
    checkpoint: EncoderCheckpoint,
    quantizers: Quantizers,
    sentences: Sequence[list[int]],
    *,
    table: str,
    target: float,
    seed: int,
) -> tuple[EncoderCheckpoint, Quantizers]:
    """Widen dead zones without training, and let biases take up the means of what is lost.

    Parameters
    ----------
    checkpoint : EncoderCheckpoint
        Model whose biases are changed.
    quantizers : Quantizers
        Source of the scale constants.
    sentences : sequence of list of int
        Token ids, to measure with.
    table, target
        As of `silencing`.
    seed : int
        Chooses the vectors that are looked at.

    Returns
    -------
    checkpoint : EncoderCheckpoint
        With other biases.
    quantizers : Quantizers
        With other thresholds.
    """
    model = FloatEncoder.from_checkpoint(checkpoint)
    model.quantizers = FakeEncoderQuantizers(quantizers, table=table)
    for part in watched(_WIDENING, "dead zone"):
        seen = record(model, sentences, seed=seed, inner=model.quantizers)
        quantizers = silencing(quantizers, table, seen, part * target)
        wider = FakeEncoderQuantizers(quantizers, table=table)
        correct_biases(model, bias_corrections(seen, model.quantizers, wider))
        model.quantizers = wider
    biases = {
        name: value.numpy()
        for name, value in model.state_dict().items()
        if name.startswith("blk.") and name.endswith(".bias") and "norm" not in name
    }
    return dataclasses.replace(checkpoint, tensors={**checkpoint.tensors, **biases}), quantizers


def magnitudes(vectors: Tensor, constant: int) -> Tensor:
    """Magnitudes in the parts of a block's scale that thresholds count, shape (vectors, K) both."""
    channels = vectors.shape[1]
    blocks = functional.pad(vectors, (0, -channels % _BLOCK)).unflatten(-1, (-1, _BLOCK))
    parts = blocks.abs() / block_scale(blocks, ratio_of(constant)) * _PARTS
    return parts.flatten(1)[:, :channels]


def _curve(vectors: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """Variance lost and elements silent by threshold 0..255, both as shares."""
    count, channels = vectors.shape
    eighths = magnitudes(vectors, constant).floor().clamp_max(_LARGEST).long()
    bins = _LARGEST + 1
    place = (eighths + bins * torch.arange(channels)).flatten()

    def below(values: Tensor | None) -> Tensor:
        """Sum each channel over elements below every threshold, shape (channels, bins)."""
        sums = torch.bincount(place, values, minlength=bins * channels).double()
        return functional.pad(sums.view(channels, bins).cumsum(1)[:, :-1], (1, 0))

    x = vectors.double()
    variance = below(x.square().flatten()) / count - (below(x.flatten()) / count).square()
    total = x.var(0, correction=0).sum().clamp_min(1e-30)
    return variance.sum(0) / total, below(None).sum(0) / x.numel()


def _has_weights(tensor: str) -> bool:
    return site_of(tensor) in LINEAR_SITES
