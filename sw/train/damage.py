"""Allots silence among the tensors of an encoder by what it does to the answer.

One pass forward and one back give, at every tensor, what its quantizer sees and the gradient of the
answer: the second logit less the first. What a threshold takes from the elements below it, times
their gradients, summed over a sentence, is to first order what it does to that sentence's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hw.spec.codes import DEFAULT_THRESHOLD
from sw.convert.defaults import site_of
from sw.convert.encoder_quantizers import Quantizers, magnitudes, with_thresholds
from sw.golden.float_encoder import LINEAR_SITES, EncoderQuantizers, FloatEncoder, pad

#: Thresholds that are tried, in parts of the scale.
THRESHOLDS = (*range(DEFAULT_THRESHOLD, 64, 2), *range(64, 161, 4))

#: Where the search for a price ends, if no price reaches the share wanted.
_DEAREST = 1e12

_BATCH = 48


class Curve(NamedTuple):
    """What every one of ``THRESHOLDS`` does to a tensor, float64, shape (thresholds,) each.

    Attributes
    ----------
    damage : Tensor
        Mean square change of a sentence's answer.
    silent : Tensor
        Share of the elements, 0..1.
    elements : int
        Elements of a vector.
    """

    damage: Tensor
    silent: Tensor
    elements: int


class _Probe(EncoderQuantizers):
    """Adds a zero to everything that is coded, whose gradient is that of the coded value."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Remember the input, and what its gradient will be asked of."""
        zero = torch.zeros_like(x, requires_grad=True)
        if site_of(site) in LINEAR_SITES:
            self.seen[site] = x.detach(), zero
        return x + zero


def damage(
    model: FloatEncoder, sentences: Sequence[list[int]], quantizers: Quantizers, table: str
) -> dict[str, Curve]:
    """Measure what thresholds do to the answers of a model with a head of two classes.

    Parameters
    ----------
    model : FloatEncoder
        Model, run in float.
    sentences : sequence of list of int
        Token ids.
    quantizers : Quantizers
        Source of the scale constants.
    table : str
        Code table.

    Returns
    -------
    dict of str to Curve
        By tensor that meets a weight matrix of a layer. The mean of what a channel loses does not
        count, as biases can make it up.
    """
    pieces: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
    by_length = sorted(sentences, key=len)
    kept = model.quantizers
    try:
        for start in range(0, len(by_length), _BATCH):
            tokens, mask = pad(by_length[start : start + _BATCH])
            model.quantizers = probe = _Probe()
            logits = model(tokens, mask)
            answers = (logits[:, 1] - logits[:, 0]).sum()
            gradients = torch.autograd.grad(answers, [zero for _, zero in probe.seen.values()])
            sentence = (start + torch.arange(len(tokens)))[:, None].expand(mask.shape)[mask]
            for (tensor, (x, _)), gradient in zip(probe.seen.items(), gradients, strict=True):
                pieces.setdefault(tensor, []).append((x[mask], gradient[mask], sentence))
    finally:
        model.quantizers = kept
    curves = {}
    for tensor in list(pieces):
        x, gradient, sentence = map(torch.cat, zip(*pieces.pop(tensor), strict=True))
        curves[tensor] = _curve(x, gradient, sentence, quantizers[tensor][table].constant)
    return curves


def allot(
    quantizers: Quantizers, table: str, curves: Mapping[str, Curve], target: float
) -> Quantizers:
    """Choose the silence thresholds that do the least damage at a share of silence.

    Every tensor takes the threshold of least damage less a price times its silent elements; the
    price is the least that leaves enough of them silent.

    Parameters
    ----------
    quantizers : Quantizers
        Source of the scale constants.
    table : str
        Code table.
    curves : mapping of str to Curve
        As of `damage`.
    target : float
        Silent elements of all elements of these tensors, 0..1.
    """
    total = sum(curve.elements for curve in curves.values())
    shares = {tensor: c.silent * c.elements / total for tensor, c in curves.items()}

    def choose(price: float) -> dict[str, int]:
        return {t: int((c.damage - price * shares[t]).argmin()) for t, c in curves.items()}

    def silent(places: Mapping[str, int]) -> float:
        return sum(float(shares[tensor][place]) for tensor, place in places.items())

    low, high = 0.0, 1.0
    while silent(choose(high)) < target and high < _DEAREST:
        low, high = high, 4 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if silent(choose(middle)) < target else (low, middle)
    places = choose(high)
    _take_back(places, curves, shares, silent(places) - target)
    thresholds = {tensor: THRESHOLDS[place] for tensor, place in places.items()}
    return with_thresholds(quantizers, table, thresholds)


def _take_back(
    places: dict[str, int],
    curves: Mapping[str, Curve],
    shares: Mapping[str, Tensor],
    spare: float,
) -> None:
    """Lower thresholds, those that save most damage first, as far as silence is to spare."""
    while True:
        saved, chosen, given = 0.0, None, 0.0
        for tensor, place in places.items():
            for lower in range(place):
                gives = float(shares[tensor][place] - shares[tensor][lower])
                saves = float(curves[tensor].damage[place] - curves[tensor].damage[lower])
                if gives <= spare and saves > saved:
                    saved, chosen, given = saves, (tensor, lower), gives
        if chosen is None:
            return
        places[chosen[0]] = chosen[1]
        spare -= given


def _curve(x: Tensor, gradient: Tensor, sentence: Tensor, constant: int) -> Curve:
    """Curve of one tensor from inputs and gradients, shape (tokens, channels), by sentence."""
    parts = magnitudes(x, constant)
    damages, shares = [], []
    for threshold in THRESHOLDS:
        silent = parts < threshold
        lost = x.masked_fill(~silent, 0.0)
        change = (gradient * (lost - lost.mean(0))).sum(1).double()
        answers = torch.zeros(int(sentence.max()) + 1).double().index_add_(0, sentence, change)
        damages.append(answers.square().mean())
        shares.append(silent.double().mean())
    return Curve(torch.stack(damages), torch.stack(shares), x.shape[1])
