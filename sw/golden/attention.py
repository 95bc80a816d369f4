"""Attention in integers (``docs/arithmetic.md`` §9).

Shapes: keys and values are coded as (kv heads, past, head width); everything of the query is
(kv heads, shared, tokens, ...), where ``shared`` counts the query heads of one key head.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import torch
from torch import Tensor

from hw.spec.codes import DEFAULT_TABLE, TABLES, CodeTable
from hw.spec.luts import EXP2
from hw.spec.scales import SCALE_FRACTION
from sw.golden.cache import Coded
from sw.golden.classify import code_lookup, decode
from sw.golden.codes import Encoded, encode, with_fixed_scale
from sw.golden.integers import FRACTION, bits, look_up, normalize, rescale, shift
from sw.golden.vector import Scaled, scaled

SCORE_FRACTION = 8
_LEAST_SCORE = -(1 << 23)
_LEAST_EXPONENT = -(1 << 15)
_MULTIPLIER_MAX = 65535
_LARGEST_CODE = 255

#: Constant part of the context's shift.
CONTEXT_SHIFT = 25
_EXP2 = torch.tensor(EXP2)

#: Receives the codes of a query (kv heads, shared, tokens, ...) or of probabilities.
Observer = Callable[[Encoded], None]


def query_table(table: CodeTable) -> CodeTable:
    """Table of the queries: the model's if it has polarity."""
    return table if table.polarity else TABLES[DEFAULT_TABLE]


def probability_table(table: CodeTable) -> CodeTable:
    """Table of the probabilities: octaves, unless the model is dense."""
    return table if table.name == "integer" else TABLES["octave"]


@functools.cache
def score_scale(head_width: int) -> Scaled:
    """``log2(e) / sqrt(head width)``."""
    return scaled(1 / (Decimal(2).ln() * Decimal(head_width).sqrt()))


def scores(
    query: Tensor,
    keys: Coded,
    visible: Tensor,
    *,
    table: CodeTable,
    constant: int,
    threshold: int,
    observe: Observer | None = None,
) -> Tensor:
    """Scores in units of log2 with 8 fraction bits, shape (kv heads, shared, tokens, past).

    Parameters
    ----------
    query : Tensor
        Rotated words, shape (kv heads, shared, tokens, head width).
    keys : Coded
        Cached keys.
    visible : Tensor
        bool, shape (tokens, past): false beyond the token's position; such scores are the least.
    table, constant, threshold
        The query's quantizer.
    observe : callable, optional
        Receives the query's codes.
    """
    x, n = normalize(query)
    encoded = encode(x, table=table, constant=constant, threshold=threshold)
    if observe is not None:
        observe(encoded)
    heads, shared, tokens, width = query.shape
    codes = encoded.scaled.double().reshape(heads, shared * tokens, width)
    products = (codes @ keys.codes.double().transpose(1, 2)).long()
    accumulator = products.view(heads, shared, tokens, -1) * _per_key(keys.mantissa)
    multiplier, exponent = score_scale(width)
    constant_k = 2 * FRACTION + SCALE_FRACTION - SCORE_FRACTION - exponent
    k = (constant_k - encoded.base - n)[..., None] - _per_key(keys.exponent)
    return rescale(accumulator, multiplier, k).masked_fill(~visible, _LEAST_SCORE)


def probabilities(scores: Tensor, visible: Tensor) -> Tensor:
    """Unnormalized probabilities, 16 bits, of the scores' shape; 0 where nothing is visible."""
    below = scores.amax(-1, keepdim=True) - scores
    return (look_up(_EXP2, below & 255) >> (below >> 8).clamp_max(31)).masked_fill(~visible, 0)


def context(
    p: Tensor,
    values: Coded,
    visible: Tensor,
    *,
    table: CodeTable,
    threshold: int,
    observe: Observer | None = None,
) -> Tensor:
    """Values averaged by probabilities, F fraction bits, (kv heads, shared, tokens, head width).

    Parameters
    ----------
    p : Tensor
        Unnormalized probabilities, shape (kv heads, shared, tokens, past).
    values : Coded
        Cached values.
    visible : Tensor
        As of :func:`scores`; of every token at least one.
    table, threshold
        Quantizer of the probabilities.
    observe : callable, optional
        Receives their codes; those of tokens that are not visible are silent.
    """
    # The largest exponent among the values that each token sees.
    seen = values.exponent[:, None, :].masked_fill(~visible, _LEAST_EXPONENT)
    ev = seen.amax(-1, keepdim=True)
    weighted = (p * _per_key(values.mantissa)) >> _distances(ev, values.exponent)
    codes, gain, k = weigh(weighted, p.sum(-1, keepdim=True), ev[:, None])
    if observe is not None:
        observe(with_fixed_scale(codes, table=table, threshold=threshold))
    decoded, _ = decode(codes << 3, code_lookup(table, threshold, 0))
    heads, shared, tokens, past = p.shape
    flat = decoded.double().reshape(heads, shared * tokens, past)
    accumulator = 4 * (flat @ values.codes.double()).long().view(heads, shared, tokens, -1)
    return rescale(accumulator, gain, CONTEXT_SHIFT + k)


class Weights(NamedTuple):
    """Codes of probability times value scale, and how the context is rescaled.

    Attributes
    ----------
    codes : Tensor
        0..255, shape (..., past).
    gain, k : Tensor
        G, which is 0 if all codes are, and ``jz - j - ev``, shape (..., 1).
    """

    codes: Tensor
    gain: Tensor
    k: Tensor


def weigh(weighted: Tensor, z: Tensor, ev: Tensor) -> Weights:
    """Code probabilities that were multiplied by value scales.

    Parameters
    ----------
    weighted : Tensor
        w_t, 23 bits, shape (..., past).
    z, ev : Tensor
        Z and the largest exponent, shape (..., 1).
    """
    largest = weighted.amax(-1, keepdim=True)
    j = bits(largest) - 16
    top = _to_16_bits(largest, j)
    q = (_LARGEST_CODE << 23) // top.clamp_min(1)
    codes = shift(_to_16_bits(weighted, j) * q, 23)
    jz = bits(z) - 16
    zr = ((1 << 39) // (_LARGEST_CODE * _to_16_bits(z, jz))).clamp_max(_MULTIPLIER_MAX)
    gain = ((top * zr + (1 << 15)) >> 16).clamp_max(_MULTIPLIER_MAX)
    return Weights(codes, gain, jz - j - ev)


def _per_key(x: Tensor) -> Tensor:
    """Put a scale per key head and past token beside the scores."""
    return x[:, None, None, :]


def _distances(ev: Tensor, exponent: Tensor) -> Tensor:
    return (ev - exponent[:, None, :]).clamp(0, 31)[:, None]


def _to_16_bits(x: Tensor, j: Tensor) -> Tensor:
    return (x << (-j).clamp_min(0)) >> j.clamp_min(0)
