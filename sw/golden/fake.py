"""The ladder's second rung: fake quantization, differentiable by straight-through gradients.

Values stay float32 but lie where the hardware's codes can put them: `docs/arithmetic.md` is the
norm. What this rung leaves to the integer model is the rounding of norms, tables and sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.codes import BLOCK, DEFAULT_TABLE, TABLES, CodeTable
from hw.spec.scales import EXPONENT_SPAN, LARGEST_CODE, MEAN_TO_SCALE
from sw.convert.defaults import ratio
from sw.golden.fake_weights import eight_bit_weight, fake_weight, stored_weight
from sw.golden.float_model import Quantizers
from sw.load.checkpoint import Checkpoint, QuantizedTensor

#: What `linear_input` and `query` code.
SITES = ("attn_q", "attn_output", "ffn_gate", "ffn_down", "head", "query")

#: Largest softmax code.
LARGEST_PROBABILITY = 255

#: Mantissa bits of block scales (4..7) and of cache scales (64..127).
BLOCK_SCALE_BITS, CACHE_SCALE_BITS = 3, 7

_TINY = torch.finfo(torch.float32).tiny


class _StraightThrough(torch.autograd.Function):
    """Coded values on the way forward, the uncoded ones' gradients on the way back."""

    @staticmethod
    def forward(_context, _x: Tensor, coded: Tensor) -> Tensor:
        return coded.view_as(coded)

    @staticmethod
    def backward(_context, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(x: Tensor, coded: Tensor) -> Tensor:
    """Return the coded values; gradients pass to the uncoded ones as if they were equal."""
    return _StraightThrough.apply(x, coded)


def grid_scale(wanted: Tensor, bits: int, *, up: bool = False) -> Tensor:
    """Round positive numbers to a mantissa of that many bits times a power of two.

    Parameters
    ----------
    wanted : Tensor
        Any shape; zeros become the smallest normal number.
    bits : int
        Bits of the mantissa, its leading one included.
    up : bool
        Round up instead of to the nearest, halves up.
    """
    fraction, exponent = torch.frexp(wanted.clamp_min(_TINY))
    mantissa = fraction * 2**bits
    return torch.ldexp(mantissa.ceil() if up else (mantissa + 0.5).floor(), exponent - bits)


def block_scale(blocks: Tensor, c: float) -> Tensor:
    """Scales of the blocks of a vector, shape (..., blocks, 1).

    Parameters
    ----------
    blocks : Tensor
        Shape (..., blocks, 32): all blocks of one vector in the last but one dimension.
    c : float
        Ratio of the scale to 0.179 times the block's mean magnitude.
    """
    magnitudes = blocks.abs()
    wanted = grid_scale(c * MEAN_TO_SCALE * magnitudes.mean(-1, keepdim=True), BLOCK_SCALE_BITS)
    largest = magnitudes.amax(-1, keepdim=True)
    scale = wanted.maximum(grid_scale(largest / LARGEST_CODE, BLOCK_SCALE_BITS, up=True))
    octave = torch.ldexp(torch.full_like(scale, 0.5), torch.frexp(scale).exponent)
    return scale.maximum(octave.amax(-2, keepdim=True) * 2.0**-EXPONENT_SPAN)


def cache_scale(x: Tensor) -> Tensor:
    """Scale of a key's or value's 8-bit codes, shape (..., 1)."""
    return grid_scale(x.abs().amax(-1, keepdim=True) / LARGEST_CODE, CACHE_SCALE_BITS, up=True)


def _magnitudes(table: CodeTable, largest: int) -> Tensor:
    """Tabulate decoded magnitudes by ``floor(2 * |x| / scale)``, which decides every threshold.

    The ladders of tables with a zero level are all the integers, so decoding is plain rounding.
    """
    halves = range(2 * largest + 2)
    levels = [(i + 1) // 2 if table.zero else table.magnitude(4 * i)[0] for i in halves]
    return torch.tensor(levels, dtype=torch.float32).clamp_max(largest)


class FakeQuantizers(Quantizers):
    """Fake quantization of a whole model.

    Parameters
    ----------
    table : str
        Code table of linear inputs and queries.
    constants : mapping
        Ratio c of block scale to 0.179 times the block's mean magnitude, by site; the shipped one
        if absent.
    thresholds : mapping
        Silence thresholds in units of the scale, by site (``"query"`` and ``"probability"`` too);
        0.5, where only what rounds to the silent level is silent, if absent.
    silent_levels : mapping
        Silent level m by site; the table's own if absent.
    weights : mapping
        Weights that are final already, by tensor name; all others are fake-quantized.
    """

    def __init__(
        self,
        *,
        table: str = DEFAULT_TABLE,
        constants: Mapping[str, float] | None = None,
        thresholds: Mapping[str, float] | None = None,
        silent_levels: Mapping[str, int] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        names = [name for name, entry in TABLES.items() if entry.linear]
        if table not in names:
            raise ValueError(f"wanted a code table of {', '.join(names)}; got {table!r}")
        for site in {**(constants or {}), **(silent_levels or {})}:
            if site not in SITES:
                raise ValueError(f"wanted a site of {', '.join(SITES)}; got {site!r}")
        query_table = table if TABLES[table].polarity else DEFAULT_TABLE
        self.tables = {site: TABLES[table] for site in SITES} | {"query": TABLES[query_table]}
        shipped = {site: ratio(site, entry.name) for site, entry in self.tables.items()}
        self.constants = {**shipped, **(constants or {})}
        self.thresholds = dict(thresholds or {})
        self.silent_levels = dict(silent_levels or {})
        self.weights = dict(weights or {})
        self._levels = {
            site: _magnitudes(entry, LARGEST_CODE) for site, entry in self.tables.items()
        }
        probability_table = TABLES["integer" if table == "integer" else "octave"]
        self._probability_levels = _magnitudes(probability_table, LARGEST_PROBABILITY)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> FakeQuantizers:
        """Keep the codes of a checkpoint's quantized tensors; code matrices in float in 8 bits.

        Parameters
        ----------
        checkpoint : Checkpoint
            The model's checkpoint.
        **options
            The constructor's parameters, except ``weights``.
        """
        weights = {
            name: stored_weight(tensor)
            if isinstance(tensor, QuantizedTensor)
            else eight_bit_weight(torch.tensor(tensor, dtype=torch.float32))
            for name, tensor in checkpoint.tensors.items()
            if len(tensor.shape) == 2
        }
        return cls(weights=weights, **options)

    def linear_input(self, x: Tensor, site: str) -> Tensor:
        """Code in blocks of 32 channels."""
        channels = x.shape[-1]
        detached = functional.pad(x.detach(), (0, -channels % BLOCK))
        blocks = detached.unflatten(-1, (-1, BLOCK))
        scale = block_scale(blocks, self.constants[site])
        quotient = blocks / scale
        magnitude = quotient.abs()
        codes = self._levels[site][(2 * magnitude).int().clamp_max_(2 * LARGEST_CODE)]
        codes = torch.copysign(codes, quotient)
        threshold = self.thresholds.get(site, 0.5)
        if threshold != 0.5:
            table = self.tables[site]
            silent = self.silent_levels.get(site, table.silent_level) - table.zero
            eighths = torch.copysign((8 * magnitude).floor(), quotient)
            codes = codes.masked_fill((eighths - 8 * silent).abs() < 8 * threshold, silent)
        coded = (codes * scale).flatten(-2)[..., :channels]
        return _StraightThrough.apply(x, coded)

    def query(self, q: Tensor) -> Tensor:
        """Code in blocks, as an input of a linear layer."""
        return self.linear_input(q, "query")

    def key(self, k: Tensor) -> Tensor:
        """Round to 8 bits with one scale per token and head."""
        scale = cache_scale(k.detach())
        return _StraightThrough.apply(k, (k.detach() / scale).round() * scale)

    def value(self, v: Tensor) -> Tensor:
        """Round to 8 bits with one scale per token and head."""
        return self.key(v)

    def probability(self, p: Tensor, v: Tensor) -> Tensor:
        """Code numerators times value scales, in `octave` with a row maximum of 255."""
        heads_per_key = p.shape[1] // v.shape[1]
        scale = cache_scale(v.detach()).transpose(-2, -1).repeat_interleave(heads_per_key, 1)
        weighted = p.detach() * scale
        unit = weighted.amax(-1, keepdim=True) / LARGEST_PROBABILITY
        rounded = (weighted / unit + 0.5).int()
        codes = self._probability_levels[2 * rounded]
        threshold = self.thresholds.get("probability", 0.5)
        if threshold > 0.5:
            codes = codes.masked_fill(rounded < threshold, 0)
        return _StraightThrough.apply(p, codes * unit / scale)

    def weight(self, w: Tensor, name: str) -> Tensor:
        """Round to groups of Q4_1, or of Q8_0 for embedding and head."""
        if name in self.weights:
            return self.weights[name]
        return _StraightThrough.apply(w, fake_weight(w.detach(), name))
