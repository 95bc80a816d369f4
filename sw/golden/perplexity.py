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


class Difference(NamedTuple):
    """Mean difference of two log-losses on the same tokens, and its standard error."""

    mean: float
    stderr: float


@torch.no_grad()
def token_losses(model: Callable[[Tensor], Tensor], tokens: Tensor, window: int) -> Tensor:
    """Measure the log-loss of every predicted token over disjoint windows, each without BOS.

    Parameters
    ----------
    model : callable
        Maps int64 tokens (batch, time) to logits (batch, time, vocabulary).
    tokens : Tensor
        int64, shape (count,); a rest shorter than a window is dropped.
    window : int
        Tokens a window, of which ``window - 1`` are predicted.

    Returns
    -------
    Tensor
        float64, nats, shape (predictions,).
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
    return torch.cat(losses).double()


def perplexity(model: Callable[[Tensor], Tensor], tokens: Tensor, window: int) -> Perplexity:
    """Measure perplexity; arguments as of `token_losses`."""
    return perplexity_of(token_losses(model, tokens, window))


def perplexity_of(losses: Tensor) -> Perplexity:
    """Perplexity of log-losses, shape (predictions,)."""
    mean = losses.mean().item()
    return Perplexity(math.exp(mean), _stderr(losses), mean, len(losses))


def paired(losses: Tensor, reference: Tensor) -> Difference:
    """Difference of two models' losses on the same tokens, paired token by token."""
    difference = losses - reference
    return Difference(difference.mean().item(), _stderr(difference))


def _stderr(x: Tensor) -> float:
    return x.std(correction=1).item() / math.sqrt(len(x)) if len(x) > 1 else 0.0
