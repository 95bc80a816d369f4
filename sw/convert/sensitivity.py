"""How much the model's loss minds an error in each element that is coded.

One pass forward and one back over a text gives, at every tensor, what the quantizer sees and the
gradient of the log-loss of tokens that the model itself draws. Squares of such gradients estimate
the diagonal of the Fisher information, so that an error e costs about ``sum(g^2 e^2) / 2`` nats.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from sw.errors import UserError
from sw.golden.float_model import FloatLlama, Quantizers
from sw.load.checkpoint import Checkpoint

#: Inputs whose 1/rms is applied after coding.
_NORMED = ("attn_q", "ffn_gate", "head")

#: Largest power of two that a normalized input may have, and its bound.
_INPUT_BITS, _INPUT_MAX = 15, 32767


@dataclasses.dataclass(kw_only=True)
class Observed:
    """What was seen of one tensor.

    Attributes
    ----------
    x : Tensor
        int64, shape (vectors, K): what its quantizer sees, normalized to 16 bits.
    sensitivity : Tensor
        float64, shape (vectors, K): half the squared gradient, in units of ``x``.
    vectors_per_token : float
        Vectors that each token has: its heads, for queries.
    """

    x: Tensor
    sensitivity: Tensor
    vectors_per_token: float = 1.0


class _Probe(Quantizers):
    """Adds a zero to everything that is coded, whose gradient is that of the coded value."""

    def __init__(self) -> None:
        self.layer = -1
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}
        self.moments: dict[str, Tensor] = {}

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        if site == "attn_q":
            self.layer += 1
        tensor = "head" if site == "head" else f"layers.{self.layer}.{site}"
        if site == "head":
            self.layer = -1
        else:
            self._add_moment(tensor, site, x.detach().flatten(0, -2))
        return self._probe(tensor, x)

    def query(self, q: Tensor) -> Tensor:
        return self._probe(f"layers.{self.layer}.query", q)

    def _probe(self, tensor: str, x: Tensor) -> Tensor:
        zero = torch.zeros_like(x, requires_grad=True)
        self.seen[tensor] = x.detach(), zero
        return x + zero

    def _add_moment(self, tensor: str, site: str, x: Tensor) -> None:
        if site in _NORMED:
            x = x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-30)
        moment = (x.T @ x).double()
        self.moments[tensor] = self.moments[tensor] + moment if tensor in self.moments else moment


@dataclasses.dataclass(kw_only=True)
class Observations:
    """What a text does to every tensor.

    Attributes
    ----------
    tensors : dict of str to Observed
        By name, in the order of the data's flow.
    moments : dict of str to Tensor
        Second moments of the inputs of linear layers, float64, shape (K, K), without the head's.
    """

    tensors: dict[str, Observed]
    moments: dict[str, Tensor]


def observe(
    checkpoint: Checkpoint,
    tokens: Tensor,
    *,
    window: int,
    vectors: int = 256,
    seed: int = 0,
    report=lambda done, total: None,
) -> Observations:
    """Read a text forwards and backwards.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model, run in float.
    tokens : Tensor
        int64; whole windows are read.
    window : int
        Tokens that are read together.
    vectors : int
        Vectors kept of each tensor, evenly spread over the text.
    seed : int
        Seed of the tokens that the model draws.
    report : callable
        Called with the windows done and all.

    Raises
    ------
    UserError
        If the text is shorter than a window.
    """
    windows = tokens[: len(tokens) // window * window].view(-1, window)
    if not len(windows):
        raise UserError(
            f"the calibration text has {len(tokens)} tokens, one window takes {window}; give a "
            "longer one"
        )
    network = FloatLlama.from_checkpoint(checkpoint).requires_grad_(False)
    network.quantizers = probe = _Probe()
    generator = torch.Generator().manual_seed(seed)
    kept: dict[str, list[tuple[Tensor, Tensor]]] = {}
    every = max(1, windows.numel() // vectors)
    heads = checkpoint.config.heads
    for done, piece in enumerate(windows):
        logits = network(piece[None])[0]
        drawn = torch.multinomial(logits.detach().softmax(-1), 1, generator=generator)[:, 0]
        functional.cross_entropy(logits, drawn, reduction="sum").backward()
        for tensor, (x, zero) in probe.seen.items():
            chosen = slice(every // 2, None, every)
            assert zero.grad is not None
            gradient = zero.grad
            if tensor.endswith("query"):  # time before heads
                x, gradient = x.transpose(1, 2), gradient.transpose(1, 2)
            pieces = kept.setdefault(tensor, [])
            pieces.append((x[0, chosen].clone(), gradient[0, chosen].clone()))
        probe.seen.clear()
        report(done + 1, len(windows))
    tensors = {}
    for tensor, pieces in kept.items():
        x, gradient = (torch.cat(part).flatten(0, -2) for part in zip(*pieces, strict=True))
        per_token = heads if tensor.endswith("query") else 1
        tensors[tensor] = normalized(x, gradient, vectors_per_token=per_token)
    return Observations(tensors=tensors, moments=probe.moments)


def normalized(x: Tensor, gradient: Tensor, *, vectors_per_token: float) -> Observed:
    """Bring vectors to the quantizer's integers, and gradients to their units."""
    exponent = torch.frexp(x.abs().amax(-1, keepdim=True).double()).exponent
    unit = torch.ldexp(torch.ones_like(exponent, dtype=torch.float64), exponent - _INPUT_BITS)
    integers = (x.double() / unit).round().clamp(-_INPUT_MAX, _INPUT_MAX).long()
    sensitivity = (gradient.double() * unit).square() / 2
    return Observed(x=integers, sensitivity=sensitivity, vectors_per_token=vectors_per_token)
