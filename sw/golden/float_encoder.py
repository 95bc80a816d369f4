"""The ladder's first rung for encoders: BERT in float32, open to fake quantization.

As in `sw.golden.float_model`, what a lower rung rounds passes through one `Quantizers` object, and
the module's parameters carry GGUF tensor names.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sw.golden.float_model import Quantizers
from sw.load.checkpoint import EncoderCheckpoint, QuantizedTensor
from sw.load.encoder_config import EncoderConfig

#: Sites of a layer whose codes meet a weight matrix, in the order of the data's flow.
LINEAR_SITES = ("attn_q", "attn_output", "ffn_gate", "ffn_down")


#: Matrices of a layer that read a site.
SITE_MATRICES = {
    "attn_q": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "ffn_gate": ("ffn_up",),
    "ffn_down": ("ffn_down",),
}


class EncoderQuantizers(Quantizers):
    """What happens to the numbers on their way through an encoder; here nothing.

    Sites are full tensor names, ``layers.N.`` + ``attn_q`` (also the input of k and v),
    ``attn_output``, ``ffn_gate`` (input of the up matrix), ``ffn_down``, ``query``; and ``head``.
    """

    def embedding(self, w: Tensor, index: Tensor, name: str) -> Tensor:
        """Rows of an embedding matrix, shape (*index.shape, width)."""
        return functional.embedding(index, w)


class EncoderBlock(nn.Module):
    """One encoder layer, its norms behind the residual additions."""

    def __init__(self, config: EncoderConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        attention = config.heads * config.head_width
        for name in ("attn_q", "attn_k", "attn_v"):
            setattr(self, name, nn.Linear(config.width, attention))
        self.attn_output = nn.Linear(attention, config.width)
        self.attn_output_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.ffn_up = nn.Linear(config.width, config.ffn_width)
        self.ffn_down = nn.Linear(config.ffn_width, config.width)
        self.layer_output_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)

    def _apply_linear(self, quantizers: EncoderQuantizers, x: Tensor, name: str) -> Tensor:
        linear = getattr(self, name)
        weight = quantizers.weight(linear.weight, f"blk.{self.layer}.{name}.weight")
        return functional.linear(x, weight, linear.bias)

    def attend(self, coded: Tensor, mask: Tensor, quantizers: EncoderQuantizers) -> Tensor:
        """Return the mixed values of all heads from coded vectors, shape (batch, time, width)."""
        q, k, v = (
            self._apply_linear(quantizers, coded, name)
            .unflatten(-1, (-1, self.config.head_width))
            .transpose(1, 2)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        q = quantizers.linear_input(q, f"layers.{self.layer}.query")
        scores = q @ quantizers.key(k).transpose(-2, -1) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        numerators = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
        mixed = quantizers.probability(numerators, v) @ quantizers.value(v)
        return (mixed / numerators.sum(-1, keepdim=True)).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor, mask: Tensor, quantizers: EncoderQuantizers) -> Tensor:
        """Return the vectors after this layer, shape (batch, time, width)."""
        site = f"layers.{self.layer}."
        coded = quantizers.linear_input(x, f"{site}attn_q")
        mixed = quantizers.linear_input(self.attend(coded, mask, quantizers), f"{site}attn_output")
        x = self.attn_output_norm(x + self._apply_linear(quantizers, mixed, "attn_output"))

        coded = quantizers.linear_input(x, f"{site}ffn_gate")
        hidden = functional.gelu(self._apply_linear(quantizers, coded, "ffn_up"))
        hidden = quantizers.linear_input(hidden, f"{site}ffn_down")
        return self.layer_output_norm(x + self._apply_linear(quantizers, hidden, "ffn_down"))


class FloatEncoder(nn.Module):
    """BERT-family encoder with pooling and linear head; the state's names are GGUF tensor names.

    Parameters
    ----------
    config : EncoderConfig
        Shape and constants.
    generator : torch.Generator, optional
        Source of the initial weights; seed 0 if absent.
    quantizers : EncoderQuantizers, optional
        What rounds the numbers; nothing if absent. May be exchanged at any time.
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        generator: torch.Generator | None = None,
        quantizers: EncoderQuantizers | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.quantizers = quantizers or EncoderQuantizers()
        self.token_embd = nn.Embedding(config.vocabulary, config.width)
        self.position_embd = nn.Embedding(config.context, config.width)
        self.token_types = nn.Embedding(1, config.width)
        self.token_embd_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.blk = nn.ModuleList(EncoderBlock(config, layer) for layer in range(config.layers))
        if config.labels:
            self.cls = nn.Linear(config.width, config.labels)
        self._initialize(generator or torch.Generator().manual_seed(0))

    @classmethod
    def from_checkpoint(cls, checkpoint: EncoderCheckpoint) -> FloatEncoder:
        """Make the model of a checkpoint, its weights dequantized."""
        model = cls(checkpoint.config)
        state = {
            name: torch.from_numpy(
                tensor.dequantize()
                if isinstance(tensor, QuantizedTensor)
                else np.array(tensor, dtype=np.float32)
            )
            for name, tensor in checkpoint.tensors.items()
        }
        model.load_state_dict(state, assign=True)
        return model

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=1 / math.sqrt(parameter.shape[1]), generator=generator)
            elif "norm" not in name:
                parameter.zero_()

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors of all tokens behind the last layer.

        Parameters
        ----------
        tokens : Tensor
            int64, shape (batch, time), time at most the context; anything where there is no token.
        mask : Tensor
            bool, shape (batch, time): where there are tokens.

        Returns
        -------
        Tensor
            float32, shape (batch, time, width).
        """
        time = tokens.shape[1]
        if time > self.config.context:
            raise ValueError(
                f"wanted at most {self.config.context} tokens (the model's positions), "
                f"got {time}: shorten the text"
            )
        x = self.embed(tokens)
        for block in self.blk:
            x = block(x, mask, self.quantizers)
        return x

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors before the first layer, shape (batch, time, width)."""
        x = self.quantizers.embedding(self.token_embd.weight, tokens, "token_embd.weight")
        x = x + (self.position_embd.weight[: tokens.shape[1]] + self.token_types.weight[0])
        return self.token_embd_norm(x)

    def pool(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return one vector a sentence, shape (batch, width)."""
        if self.config.pooling == "cls":
            return x[:, 0]
        return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return logits, shape (batch, labels), or pooled vectors if there is no head."""
        return self.classify(self.encode(tokens, mask), mask)

    def classify(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the logits of what `encode` gave, or pooled vectors if there is no head."""
        pooled = self.pool(x, mask)
        if not self.config.labels:
            return pooled
        coded = self.quantizers.linear_input(pooled, "head")
        weight = self.quantizers.weight(self.cls.weight, "cls.weight")
        return functional.linear(coded, weight, self.cls.bias)


def pad(sentences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and mask of sentences of several lengths, shape (sentences, longest)."""
    longest = max(map(len, sentences))
    tokens = torch.zeros(len(sentences), longest, dtype=torch.int64)
    mask = torch.zeros(len(sentences), longest, dtype=torch.bool)
    for row, ids in enumerate(sentences):
        tokens[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = True
    return tokens, mask
