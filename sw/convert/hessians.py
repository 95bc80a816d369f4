"""What a calibration text does to the inputs of each matrix: sums of x x^T in the float model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sw.golden.float_encoder import EncoderQuantizers, FloatEncoder, pad
from sw.golden.float_model import FloatLlama, Quantizers
from sw.load.checkpoint import Checkpoint, EncoderCheckpoint
from sw.progress import watched

#: GGUF names of the matrices that read a site, for decoders and for encoders.
READERS = {
    "attn_q": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "ffn_gate": ("ffn_gate", "ffn_up"),
    "ffn_down": ("ffn_down",),
}

#: One of so many sentences or windows measures what 4-bit weights lost; the others choose them.
HELD_OUT = 4

#: Sites behind RMSNorm, where the quantizer sees vectors to which 1/rms is not yet applied.
_NORMED = ("attn_q", "ffn_gate")


class _Sums(EncoderQuantizers):
    """Adds up x x^T by ``blk.N.SITE``."""

    def __init__(self, inner: EncoderQuantizers | None = None) -> None:
        self.sums: dict[str, Tensor] = {}
        self.mask: Tensor | None = None
        self._inner = inner or EncoderQuantizers()

    def add(self, name: str, vectors: Tensor) -> None:
        x = vectors.double()
        self.sums[name] = self.sums.get(name, 0) + x.T @ x

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        *prefix, name = site.split(".")
        x = self._inner.linear_input(x, site)
        if name in READERS and self.mask is not None:
            self.add(f"blk.{prefix[1]}.{name}", x[self.mask])
        return x


class _DecoderSums(Quantizers):
    """As `_Sums`; the layer follows from the order of the calls."""

    def __init__(self) -> None:
        self.inner = _Sums()
        self.layer = -1

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        self.layer += site == "attn_q"
        if site in READERS:
            vectors = x.flatten(0, -2).double()
            if site in _NORMED:
                rms = vectors.square().mean(-1, keepdim=True).sqrt()
                vectors = vectors / rms.clamp_min(1e-30)
            self.inner.add(f"blk.{self.layer}.{site}", vectors)
        return x


@torch.no_grad()
def decoder_hessians(
    checkpoint: Checkpoint, tokens: np.ndarray, *, window: int
) -> dict[str, Tensor]:
    """Hessians of a decoder's matrices on a text.

    Parameters
    ----------
    checkpoint : Checkpoint
        Model, run in float.
    tokens : numpy.ndarray
        Token ids.
    window : int
        Tokens that are read together.

    Returns
    -------
    dict of str to Tensor
        float64, shape (inputs, inputs), by ``blk.N.SITE``. Vectors behind a norm have an rms of 1:
        their own size is that of the norm's input, which the model divides by.
    """
    model, sums = FloatLlama.from_checkpoint(checkpoint), _DecoderSums()
    model.quantizers = sums
    starts = range(0, max(len(tokens) - window, 0) + 1, window)
    for start in watched(starts, "compensating: reading"):
        sums.layer = -1
        model(torch.as_tensor(tokens[start : start + window])[None].long())
    return sums.inner.sums


def held_out_tokens(tokens: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Part a text into windows that choose weights and windows that measure what they lost.

    Returns
    -------
    chosen, held_out : numpy.ndarray
        Whole windows; all tokens and None if there is but one.
    """
    windows = tokens[: len(tokens) // window * window].reshape(-1, window)
    if len(windows) < 2:
        return tokens, None
    held = np.arange(len(windows)) % HELD_OUT == 0
    return windows[~held].ravel(), windows[held].ravel()


@torch.no_grad()
def encoder_hessians(
    checkpoint: EncoderCheckpoint,
    sentences: Sequence[list[int]],
    *,
    quantizers: EncoderQuantizers | None = None,
    batch: int = 16,
) -> dict[str, Tensor]:
    """Hessians of an encoder's matrices on sentences; as of `decoder_hessians`.

    ``quantizers``, if given, code the inputs first.
    """
    model, sums = FloatEncoder.from_checkpoint(checkpoint), _Sums(quantizers)
    model.quantizers = sums
    starts = range(0, len(sentences), batch)
    for start in watched(starts, "compensating: reading"):
        tokens, sums.mask = pad(list(sentences[start : start + batch]))
        model(tokens, sums.mask)
    return sums.sums
