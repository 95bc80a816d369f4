"""The ladder's first rung: a Llama-family decoder in float32, open to fake quantization.

Everything that a lower rung rounds passes through one `Quantizers` object, so a fake-quantized
model is this model with another `Quantizers`. The module's parameters carry GGUF tensor names.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sw.load.checkpoint import Checkpoint, LlamaConfig, QuantizedTensor


class Quantizers:
    """What happens to the numbers on their way through the model; here nothing.

    Subclasses override the methods; each returns a tensor of its argument's shape and meaning.
    """

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Input of the linear layers at a site, shape (..., channels).

        Sites are ``"attn_q"`` (also the input of k and v), ``"attn_output"``, ``"ffn_gate"``
        (also that of up), ``"ffn_down"`` and ``"head"``. After a norm, 1/rms is not yet applied.
        """
        return x

    def weight(self, w: Tensor, name: str) -> Tensor:
        """Matrix of a linear layer or the embedding, shape (outputs, inputs), by GGUF name."""
        return w

    def query(self, q: Tensor) -> Tensor:
        """Rotated queries, shape (batch, heads, time, head_width)."""
        return q

    def key(self, k: Tensor) -> Tensor:
        """Rotated keys, shape (batch, kv_heads, time, head_width)."""
        return k

    def value(self, v: Tensor) -> Tensor:
        """Values, shape (batch, kv_heads, time, head_width)."""
        return v

    def probability(self, p: Tensor, v: Tensor) -> Tensor:
        """Unnormalized softmax numerators, shape (batch, heads, time, time), row maximum 1.

        They are divided by their own unrounded sum after the product with `value(v)`; ``v`` is
        what `value` was given.
        """
        return p


def rotate(x: Tensor, cosine: Tensor, sine: Tensor, interleaved: bool) -> Tensor:
    """Apply the rotary embedding.

    Parameters
    ----------
    x : Tensor
        Shape (..., time, head_width).
    cosine, sine : Tensor
        Shape (time, head_width / 2).
    interleaved : bool
        Pairs are (0, 1), (2, 3), ... if true, else (i, i + head_width / 2).
    """
    first, second = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.stack(turned, -1).flatten(-2) if interleaved else torch.cat(turned, -1)


class Gain(nn.Module):
    """RMSNorm in two parts: the gain before the quantizer, 1/rms after it, as in hardware."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x * gain`` and 1/rms, shapes (..., width) and (..., 1)."""
        return x * self.weight, torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


def _linear(outputs: int, inputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class Block(nn.Module):
    """One decoder layer."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.config, self.prefix = config, f"blk.{layer}."
        attention = config.heads * config.head_width
        cached = config.kv_heads * config.head_width
        self.attn_norm = Gain(config.width, config.norm_epsilon)
        self.attn_q = _linear(attention, config.width)
        self.attn_k = _linear(cached, config.width)
        self.attn_v = _linear(cached, config.width)
        self.attn_output = _linear(config.width, attention)
        self.ffn_norm = Gain(config.width, config.norm_epsilon)
        self.ffn_gate = _linear(config.ffn_width, config.width)
        self.ffn_up = _linear(config.ffn_width, config.width)
        self.ffn_down = _linear(config.width, config.ffn_width)

    def _apply_linear(self, quantizers: Quantizers, x: Tensor, name: str) -> Tensor:
        weight = getattr(self, name).weight
        return functional.linear(x, quantizers.weight(weight, f"{self.prefix}{name}.weight"))

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], quantizers: Quantizers) -> Tensor:
        """Return the residual after this layer, shape (batch, time, width)."""
        gained, inverse_rms = self.attn_norm(x)
        coded = quantizers.linear_input(gained, "attn_q") * inverse_rms
        q, k, v = (
            self._apply_linear(quantizers, coded, name)
            .unflatten(-1, (-1, self.config.head_width))
            .transpose(1, 2)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        q, k = (rotate(part, *rotary, self.config.rope_interleaved) for part in (q, k))
        mixed = self._attend(q, k, v, quantizers).transpose(1, 2).flatten(2)
        mixed = quantizers.linear_input(mixed, "attn_output")
        x = x + self._apply_linear(quantizers, mixed, "attn_output")

        gained, inverse_rms = self.ffn_norm(x)
        coded = quantizers.linear_input(gained, "ffn_gate") * inverse_rms
        gate = functional.silu(self._apply_linear(quantizers, coded, "ffn_gate"))
        hidden = gate * self._apply_linear(quantizers, coded, "ffn_up")
        hidden = quantizers.linear_input(hidden, "ffn_down")
        return x + self._apply_linear(quantizers, hidden, "ffn_down")

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, quantizers: Quantizers) -> Tensor:
        batch, kv_heads, time, _ = k.shape
        grouped = (batch, kv_heads, -1, q.shape[-1])  # the heads that share keys, side by side
        scores = quantizers.query(q).reshape(grouped) @ quantizers.key(k).transpose(-2, -1)
        scores = scores.reshape(batch, -1, time, time) / math.sqrt(q.shape[-1])
        future = torch.ones(time, time, dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
        numerators = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
        coded = quantizers.probability(numerators, v).reshape(batch, kv_heads, -1, time)
        mixed = (coded @ quantizers.value(v)).reshape(q.shape)
        return mixed / numerators.sum(-1, keepdim=True)


class FloatLlama(nn.Module):
    """Llama-family decoder; the state's names are the GGUF tensor names.

    Parameters
    ----------
    config : LlamaConfig
        Shape and constants.
    generator : torch.Generator, optional
        Source of the initial weights; seed 0 if absent.
    quantizers : Quantizers, optional
        What rounds the numbers; nothing if absent. May be exchanged at any time.
    """

    def __init__(
        self,
        config: LlamaConfig,
        *,
        generator: torch.Generator | None = None,
        quantizers: Quantizers | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.quantizers = quantizers or Quantizers()
        self.token_embd = nn.Embedding(config.vocabulary, config.width)
        self.blk = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.output_norm = Gain(config.width, config.norm_epsilon)
        if not config.tied_head:
            self.output = _linear(config.vocabulary, config.width)
        self._initialize(generator or torch.Generator().manual_seed(0))
        steps = torch.arange(config.head_width // 2, dtype=torch.float64) * 2 / config.head_width
        angles = torch.outer(torch.arange(config.context).double(), config.rope_theta**-steps)
        self.register_buffer("cosine", angles.cos().float(), persistent=False)
        self.register_buffer("sine", angles.sin().float(), persistent=False)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> FloatLlama:
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
        # A residual of order 1 suits fixed point; the small output gain makes logits of order 1.
        residual_gain = 1 / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and name != "token_embd.weight":
                gain = residual_gain if name.endswith(("output.weight", "down.weight")) else 1.0
                parameter.normal_(std=gain / math.sqrt(parameter.shape[1]), generator=generator)
        self.token_embd.weight.normal_(generator=generator)
        self.output_norm.weight.fill_(2 / self.config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits.

        Parameters
        ----------
        tokens : Tensor
            int64, shape (batch, time), time at most the context.

        Returns
        -------
        Tensor
            float32, shape (batch, time, vocabulary).
        """
        time = tokens.shape[1]
        if time > self.config.context:
            raise ValueError(
                f"wanted at most {self.config.context} tokens (the model's context), "
                f"got {time}: shorten the text or the window"
            )
        rotary = self.cosine[:time], self.sine[:time]  # type: ignore[index]
        embedding = self.quantizers.weight(self.token_embd.weight, "token_embd.weight")
        x = functional.embedding(tokens, embedding)
        for block in self.blk:
            x = block(x, rotary, self.quantizers)
        gained, inverse_rms = self.output_norm(x)
        coded = self.quantizers.linear_input(gained, "head") * inverse_rms
        tied = self.config.tied_head
        head = embedding if tied else self.quantizers.weight(self.output.weight, "output.weight")
        return functional.linear(coded, head)


@contextlib.contextmanager
def reporting(model: FloatLlama, report: Callable[[int], None]) -> Iterator[None]:
    """Call ``report`` after each layer, and after the head, with the tokens that have passed it."""

    def passed(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        report(output.shape[:-1].numel())

    hooks = [each.register_forward_hook(passed) for each in (*model.blk, model)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
