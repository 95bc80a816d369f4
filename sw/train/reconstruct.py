"""Fits the matrices of an encoder to a float teacher, layer by layer, with codes in place.

What silence takes from a matrix's input is to a good part a linear function of what is left. Each
matrix becomes the ridge regression of the teacher's outputs on the coded inputs that the student
really has, so that it makes up for its own input and for everything before it. No gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import (
    SITE_MATRICES,
    EncoderBlock,
    EncoderQuantizers,
    FloatEncoder,
    pad,
)

#: Weight of the distance to the teacher's matrix, over the mean square of an input.
RIDGE = 0.03

_BATCH = 32


class Codes(EncoderQuantizers):
    """Quantizes numbers as another object does, and leaves weights as they are."""

    def __init__(self, inner: EncoderQuantizers) -> None:
        self._inner = inner

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Code the input of a matrix."""
        return self._inner.linear_input(x, site)

    def key(self, k: Tensor) -> Tensor:
        """Round keys."""
        return self._inner.key(k)

    def value(self, v: Tensor) -> Tensor:
        """Round values."""
        return self._inner.value(v)

    def probability(self, p: Tensor, v: Tensor) -> Tensor:
        """Code softmax numerators."""
        return self._inner.probability(p, v)


class Regression:
    """Sums of a regression of outputs on inputs, batch by batch."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self._count = 0
        self._inputs, self._outputs = torch.zeros(inputs).double(), torch.zeros(outputs).double()
        self._squares = torch.zeros(inputs, inputs, dtype=torch.float64)
        self._products = torch.zeros(inputs, outputs, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in inputs, shape (n, inputs), and the outputs wanted, shape (n, outputs)."""
        self._count += len(x)
        self._inputs += x.sum(0)
        self._outputs += y.sum(0)
        self._squares += x.T @ x
        self._products += x.T @ y

    def solve(self, near: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
        """Return weights, shape (outputs, inputs), and biases.

        Parameters
        ----------
        near : Tensor
            Weights that little evidence leaves in place.
        ridge : float
            How little: a part of the mean variance of an input.
        """
        x, y = self._inputs / self._count, self._outputs / self._count
        covariance = self._squares - self._count * torch.outer(x, x)
        products = self._products - self._count * torch.outer(x, y)
        damped = covariance.clone()
        damped.diagonal().add_(ridge * covariance.diagonal().mean().clamp_min(1e-30))
        missing = products - covariance @ near.T.double()
        weights = near + torch.cholesky_solve(missing, torch.linalg.cholesky(damped)).T
        return weights.float(), (y - weights @ x).float()


@torch.no_grad()
def reconstruct(
    student: FloatEncoder,
    teacher: FloatEncoder,
    sentences: Sequence[list[int]],
    quantizers: FakeEncoderQuantizers,
    *,
    ridge: float = RIDGE,
    console: Console | None = None,
) -> list[float]:
    """Fit the matrices and biases of all layers of a model, in place.

    Parameters
    ----------
    student : FloatEncoder
        Model with the shape of the teacher; its embedding and its norms stay.
    teacher : FloatEncoder
        Model whose sums it shall have.
    sentences : sequence of list of int
        Token ids to fit to.
    quantizers : FakeEncoderQuantizers
        Codes and silence of the student; weights are rounded later.
    ridge : float
        As of `Regression.solve`.
    console : Console, optional
        Where the progress is shown; nowhere if absent.

    Returns
    -------
    list of float
        Square distance to the teacher's vectors behind each layer, over their squares.
    """
    by_length = sorted(sentences, key=len)
    codes, states = Codes(quantizers), []
    for start in range(0, len(by_length), _BATCH):
        tokens, mask = pad(by_length[start : start + _BATCH])
        states.append(_State(mask, teacher.embed(tokens), student.embed(tokens)))
    distances = []
    pairs = zip(student.blk, teacher.blk, strict=True)
    blocks = cast(list[tuple[EncoderBlock, EncoderBlock]], list(pairs))
    for block, wanted in track(
        blocks, "fitting layers", console=console, disable=console is None, transient=True
    ):
        _fit_attention(block, wanted, states, codes, ridge)
        _fit_feed_forward(block, wanted, states, codes, ridge)
        away = sum(float((s.student - s.teacher)[s.mask].square().sum()) for s in states)
        distances.append(away / sum(float(s.teacher[s.mask].square().sum()) for s in states))
    return distances


class _State:
    """Vectors of one batch in both models, shape (batch, time, width) each."""

    def __init__(self, mask: Tensor, teacher: Tensor, student: Tensor) -> None:
        self.mask, self.teacher, self.student = mask, teacher, student


def _fit_attention(
    block: EncoderBlock, wanted: EncoderBlock, states: list[_State], codes: Codes, ridge: float
) -> None:
    site = f"layers.{block.layer}."
    none = EncoderQuantizers()
    names = SITE_MATRICES["attn_q"]
    coded = [codes.linear_input(s.student, f"{site}attn_q") for s in states]
    outputs = [torch.cat([getattr(wanted, n)(s.teacher) for n in names], -1) for s in states]
    _fit([getattr(block, name) for name in names], states, coded, outputs, ridge)
    mixed = [
        codes.linear_input(block.attend(x, s.mask, codes), f"{site}attn_output")
        for s, x in zip(states, coded, strict=True)
    ]
    for s in states:
        s.teacher = s.teacher + wanted.attn_output(wanted.attend(s.teacher, s.mask, none))
    _fit_sums(block.attn_output, states, mixed, ridge)
    for s in states:
        s.teacher = wanted.attn_output_norm(s.teacher)
        s.student = block.attn_output_norm(s.student)


def _fit_feed_forward(
    block: EncoderBlock, wanted: EncoderBlock, states: list[_State], codes: Codes, ridge: float
) -> None:
    site = f"layers.{block.layer}."
    coded = [codes.linear_input(s.student, f"{site}ffn_gate") for s in states]
    outputs = [wanted.ffn_up(s.teacher) for s in states]
    _fit([block.ffn_up], states, coded, outputs, ridge)
    for s, y in zip(states, outputs, strict=True):
        s.teacher = s.teacher + wanted.ffn_down(functional.gelu(y))
    hidden = [
        codes.linear_input(functional.gelu(block.ffn_up(x)), f"{site}ffn_down") for x in coded
    ]
    _fit_sums(block.ffn_down, states, hidden, ridge)
    for s in states:
        s.teacher = wanted.layer_output_norm(s.teacher)
        s.student = block.layer_output_norm(s.student)


def _fit_sums(linear: nn.Linear, states: list[_State], coded: list[Tensor], ridge: float) -> None:
    """Fit a matrix whose outputs are added to the vectors, so that the sums are the teacher's."""
    _fit([linear], states, coded, [s.teacher - s.student for s in states], ridge)
    for s, x in zip(states, coded, strict=True):
        s.student = s.student + linear(x)


def _fit(
    linears: list[nn.Linear],
    states: list[_State],
    coded: list[Tensor],
    outputs: list[Tensor],
    ridge: float,
) -> None:
    """Fit matrices with the same input; their outputs stand beside each other."""
    near = torch.cat([linear.weight for linear in linears])
    regression = Regression(near.shape[1], near.shape[0])
    for s, x, y in zip(states, coded, outputs, strict=True):
        regression.add(x[s.mask], y[s.mask])
    weights, biases = regression.solve(near, ridge)
    sizes = [linear.out_features for linear in linears]
    parts = zip(weights.split(sizes), biases.split(sizes), strict=True)
    for linear, (weight, bias) in zip(linears, parts, strict=True):
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
