"""Fake-quantized baselines that no code table can hold: one scale per token, rate codes.

Weights are those of every other row. Attention is that of dense integers, so that these rows show
what their codes of linear inputs cost, and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hw.spec.formats import W4, W8
from sw.convert.convert import PARTS
from sw.energy.activity import Activity, code_counts, weight_activity
from sw.golden.fake import FakeQuantizers
from sw.load.checkpoint import Checkpoint, QuantizedTensor

#: Largest magnitudes of symmetric 4-bit and 8-bit codes.
_LARGEST_4, _LARGEST_8 = 7, 127

#: Time steps of a 4-bit code with a sign: levels 0 to 7.
_STEPS_4 = 8

#: Share of the channels that are salient: 10 % in SpikeLLM's code, 5 or 6.25 % elsewhere.
SALIENT_SHARE = 0.1

_SITE_MATRIX = {
    "attn_q": "qkv",
    "attn_output": "attn_output",
    "ffn_gate": "gate_up",
    "ffn_down": "ffn_down",
}


class RecordingQuantizers(FakeQuantizers):
    """Codes linear inputs its own way and records what every tensor did.

    Subclasses define `code`.

    Parameters
    ----------
    checkpoint : Checkpoint
        Source of weights and shapes.
    weights : dict of str to Tensor
        Weights as stored, by GGUF name.
    salient : dict of str to Tensor, optional
        Channels that a code may treat in its own way, bool, by tensor.

    Attributes
    ----------
    activities : dict of str to Activity
        By tensor.
    vectors : int
        Tokens that were read.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        weights: dict[str, Tensor],
        salient: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(table="integer", weights=weights)
        self.salient = salient or {}
        self.activities: dict[str, Activity] = {}
        self.vectors, self._layer = 0, -1
        self._shapes = matrix_shapes(checkpoint)

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Code the input of a tensor, which is known by the order of the calls."""
        if site == "query":
            return super().linear_input(x, site)
        if site == "attn_q":
            self._layer += 1
        tensor = "head" if site == "head" else f"layers.{self._layer}.{site}"
        if site == "head":
            self._layer = -1
            self.vectors += x[..., 0].numel()
        coded, counts = self.code(x, tensor)
        if counts is not None:
            if tensor not in self.activities:
                self.activities[tensor] = weight_activity(tensor, *self._shapes[tensor])
            groups = x[..., 0].numel() * -(-x.shape[-1] // 32)
            self.activities[tensor].add(
                outputs=self.activities[tensor].outputs, groups=groups, **counts
            )
        return coded

    def code(self, x: Tensor, tensor: str) -> tuple[Tensor, dict[str, int] | None]:
        """Return coded values of shape (..., channels), and what `Activity.add` takes."""
        raise NotImplementedError


def matrix_shapes(checkpoint: Checkpoint) -> dict[str, tuple]:
    """Weight format and outputs of the matrix behind every coded tensor."""
    tensors, shapes = checkpoint.tensors, {}
    for n in range(checkpoint.config.layers):
        for site, matrix in _SITE_MATRIX.items():
            parts = [tensors[f"blk.{n}.{part}.weight"] for part in PARTS[matrix]]
            four = all(isinstance(p, QuantizedTensor) and p.kind != "Q8_0" for p in parts)
            rows = sum(part.shape[0] for part in parts)
            shapes[f"layers.{n}.{site}"] = (W4 if four else W8, rows)
    return shapes | {"head": (W8, checkpoint.config.vocabulary)}


class Saliency(RecordingQuantizers):
    """Finds the channels that matter: mean square of the input times that of its weights."""

    def __init__(self, checkpoint: Checkpoint, weights: dict[str, Tensor]) -> None:
        super().__init__(checkpoint, weights)
        self._squares: dict[str, Tensor] = {}

    def code(self, x: Tensor, tensor: str) -> tuple[Tensor, None]:
        """Leave the input as it is, and add up its squares."""
        relative = x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-30)
        square = relative.square().flatten(0, -2).sum(0)
        self._squares[tensor] = self._squares.get(tensor, torch.zeros(())) + square
        return x, None

    def chosen(self, share: float = SALIENT_SHARE) -> dict[str, Tensor]:
        """Return the most salient share of the channels of every tensor, bool."""
        masks = {}
        for tensor, square in self._squares.items():
            saliency = square * self._column_squares(tensor)
            top = saliency.topk(max(1, round(share * len(saliency)))).indices
            masks[tensor] = torch.zeros(len(saliency), dtype=torch.bool).index_fill_(0, top, True)
        return masks

    def _column_squares(self, tensor: str) -> Tensor:
        if tensor == "head":
            names = ["output.weight" if "output.weight" in self.weights else "token_embd.weight"]
        else:
            _, layer, site = tensor.split(".")
            names = [f"blk.{layer}.{part}.weight" for part in PARTS[_SITE_MATRIX[site]]]
        return torch.stack([self.weights[name].square().sum(0) for name in names]).sum(0)


class NaiveQuantizers(RecordingQuantizers):
    """4-bit codes -7..7 with one scale per token, no integers."""

    def code(self, x: Tensor, tensor: str) -> tuple[Tensor, dict[str, int]]:
        """Round to the nearest of 15 values."""
        scale = x.abs().amax(-1, keepdim=True).clamp_min(1e-30) / _LARGEST_4
        codes = (x / scale).round()
        none = torch.zeros_like(codes, dtype=torch.bool)
        return codes * scale, _counts(codes, none)


class FixedChannelQuantizers(RecordingQuantizers):
    """8-bit integers in salient channels, 4-bit codes in all others, two scales per token."""

    def code(self, x: Tensor, tensor: str) -> tuple[Tensor, dict[str, int]]:
        """Round both kinds of channels on scales of their own."""
        integers = self.salient[tensor].expand(x.shape)
        largest = x.abs().masked_fill(integers, 0).amax(-1, keepdim=True)
        outliers = x.abs().masked_fill(~integers, 0).amax(-1, keepdim=True)
        scale = torch.where(integers, outliers / _LARGEST_8, largest / _LARGEST_4).clamp_min(1e-30)
        codes = (x / scale).round()
        return codes * scale, _counts(codes, integers)


class RateQuantizers(RecordingQuantizers):
    """Rate code: a value is a number of spikes in T steps, in salient channels twice as many.

    SpikeLLM's form as far as it is known: codes per token with a zero point, salient channels with
    one bit more in two windows. Ours: what is salient, and no learned clipping or smoothing.
    """

    def __init__(self, *arguments, steps: int, **keywords) -> None:
        super().__init__(*arguments, **keywords)
        self.steps = steps

    def code(self, x: Tensor, tensor: str) -> tuple[Tensor, dict[str, int]]:
        """Round to the nearest number of spikes; all spikes of a value count."""
        salient = self.salient[tensor].expand(x.shape)
        parts = [
            self._rate(x, ~salient, self.steps),
            self._rate(x, salient, 2 * self.steps),
        ]
        coded = torch.where(salient, parts[1][0], parts[0][0])
        codes = torch.where(salient, parts[1][1], parts[0][1])
        counts = _counts(codes, torch.zeros_like(salient), steps=self.steps)
        counts["events"] = int(codes.sum())
        blocks = torch.nn.functional.pad(codes, (0, -codes.shape[-1] % 32)).unflatten(-1, (-1, 32))
        # A neuron with v spikes may fire them in v steps at best, two windows in turn.
        counts["steps"] = int(blocks.amax(-1).sum())
        return coded, counts

    def _rate(self, x: Tensor, mask: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        low = x.masked_fill(~mask, 0).amin(-1, keepdim=True).clamp_max(0)
        high = x.masked_fill(~mask, 0).amax(-1, keepdim=True).clamp_min(0)
        step = (high - low).clamp_min(1e-30) / steps
        zero = (-low / step).round()
        codes = ((x / step).round() + zero).clamp(0, steps)
        return (codes - zero) * step, codes


def _counts(codes: Tensor, integers: Tensor, steps: int = _STEPS_4) -> dict[str, int]:
    return code_counts(codes.abs().long().flatten(0, -2), integers.flatten(0, -2), steps=steps)
