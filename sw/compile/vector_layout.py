"""Where the vectors of one or several tokens lie in vector memory."""

from __future__ import annotations

import dataclasses

from hw.spec.params import CoreParams
from sw.convert.container import ConvertedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorLayout:
    """Word addresses and distances; each a multiple of ``vector_width``.

    Pairs are used in turns: one is read while the other is filled.

    Attributes
    ----------
    tokens : int
        Tokens that are made at once.
    residual, residual_stride : int
        h of the first token, and from one token's to the next.
    work, qkv_stride, hidden_stride : int
        q, k and v of all heads, where the context takes the place of q; later gate and up.
    gains : int
        Gains of the next norm.
    work_exponents, residual_exponents : int
        Row exponents of a layer's matrices, by where their results go.
    head_exponents : tuple of int
        Row exponents of chunks of the head, behind its gains: no layer needs anything there then.
    rotary, rotary_stride : int
        Cosines of the first token's position, and from there to its sines, and so on.
    scores, key_scales, value_scales : tuple of int
        Of the heads that share a key head, for every token in the caches; behind q, k and v in the
        work region.
    score_stride : int
        Words from a head's scores to the next.
    words : int
        Words in all.
    """

    tokens: int
    residual: int
    residual_stride: int
    work: int
    qkv_stride: int
    hidden_stride: int
    gains: int
    work_exponents: int
    residual_exponents: int
    head_exponents: tuple[int, int]
    rotary: int
    rotary_stride: int
    scores: tuple[int, int]
    key_scales: tuple[int, int]
    value_scales: tuple[int, int]
    score_stride: int
    words: int


class Places:
    """Hands out words, from one address on."""

    def __init__(self, width: int, start: int = 0) -> None:
        self._width, self.end = width, start

    def round(self, size: int) -> int:
        """Words that a vector of such a size takes."""
        return -(-size // self._width) * self._width

    def take(self, size: int) -> int:
        """Return the address of some words."""
        start = self.end
        self.end += self.round(size)
        return start

    def pair(self, size: int) -> tuple[int, int]:
        """Return two."""
        return self.take(size), self.take(size)


def lay_out_vectors(
    model: ConvertedModel, params: CoreParams, *, context: int, tokens: int = 1
) -> VectorLayout:
    """Place the vectors of so many tokens of a model one behind the other."""
    c, matrices = model.config, model.matrices
    places = Places(params.vector_width)
    rows = {
        kind: max(m.rows for name, m in matrices.items() if name.endswith(kind))
        for kind in ("qkv", "gate_up", "attn_output", "ffn_down")
    }
    strides = {
        "residual_stride": places.round(c.width),
        "qkv_stride": places.round(rows["qkv"]),
        "hidden_stride": places.round(2 * c.ffn_width),
        "rotary_stride": places.round(c.head_width // 2),
        "score_stride": places.round(context),
    }
    residual = places.take(tokens * strides["residual_stride"])
    rotary = places.take(2 * tokens * strides["rotary_stride"])
    gains = places.take(c.width)
    head = Places(params.vector_width, places.end)
    work_exponents = places.take(max(rows["qkv"], rows["gate_up"]))
    residual_exponents = places.take(max(rows["attn_output"], rows["ffn_down"]))
    work = places.end
    attention = Places(params.vector_width, work + tokens * strides["qkv_stride"])
    shared = min(c.heads // c.kv_heads, params.batch)
    scores = attention.pair(shared * strides["score_stride"])
    key_scales, value_scales = attention.pair(context), attention.pair(context)
    later, first = head.pair(min(c.vocabulary, params.max_outputs))
    hidden = work + tokens * strides["hidden_stride"]
    embedding = work + places.round(c.width)
    return VectorLayout(
        tokens=tokens,
        residual=residual,
        work=work,
        gains=gains,
        work_exponents=work_exponents,
        residual_exponents=residual_exponents,
        head_exponents=(first, later),
        rotary=rotary,
        scores=scores,
        key_scales=key_scales,
        value_scales=value_scales,
        words=max(attention.end, head.end, hidden, embedding),
        **strides,
    )


def fitting_context(model: ConvertedModel, params: CoreParams, context: int) -> int:
    """Shorten a context, tile by tile but not below one, until vector memory holds a token."""
    tile = params.tile_lanes // 2
    while lay_out_vectors(model, params, context=context).words > params.vector_words:
        if context <= tile:
            break
        context = (context - 1) // tile * tile
    return context


def lay_out_most(model: ConvertedModel, params: CoreParams, *, context: int) -> VectorLayout:
    """Place the vectors of as many tokens as vector memory holds, ``batch`` at most, 1 at least."""
    for tokens in range(min(params.batch, context), 1, -1):
        vectors = lay_out_vectors(model, params, context=context, tokens=tokens)
        if vectors.words <= params.vector_words:
            return vectors
    return lay_out_vectors(model, params, context=context)
