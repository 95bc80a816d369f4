"""Perplexity of any model that maps tokens to logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Perplexity(NamedTuple):
    """Perplexity of a text: ``exp(nll)``, with the standard error of ``nll`` in nats a token."""

    perplexity: float
    nll_stderr: float
    nll: float
    predictions: int


@torch.no_grad()
def perplexity(model: Callable[[Tensor], Tensor], tokens: Tensor, window: int) -> Perplexity:
    """Measure perplexity over disjoint windows, each read without BOS.

    Parameters
    ----------
    model : callable
        Maps int64 tokens (batch, time) to logits (batch, time, vocabulary).
    tokens : Tensor
        int64, shape (count,); a rest shorter than a window is dropped.
    window : int
        Tokens a window, of which ``window - 1`` are predicted.
    """
    if window < 2 or len(tokens) < window:
        raise ValueError(
            f"wanted a window of at least 2 and no longer than the text, "
            f"got a window of {window} and {len(tokens)} tokens"
        )
    losses = []
    for start in range(0, len(tokens) - window + 1, window):
        piece = tokens[start : start + window]
        logits = model(piece[None])[0, :-1].float()
        losses.append(functional.cross_entropy(logits, piece[1:], reduction="none"))
    nll = torch.cat(losses).double()
    stderr = nll.std(correction=1) / math.sqrt(len(nll)) if len(nll) > 1 else torch.tensor(0.0)
    mean = nll.mean().item()
    return Perplexity(math.exp(mean), stderr.item(), mean, len(nll))
