"""Where the vectors of a sentence lie in vector memory."""

from __future__ import annotations

import dataclasses

from hw.spec.codes import BLOCK
from hw.spec.formats import W8
from hw.spec.params import CoreParams
from sw.compile.vector_layout import Places
from sw.convert.encoder import ConvertedEncoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderLayout:
    """Word addresses and distances; each a multiple of ``vector_width``.

    Attributes
    ----------
    tokens : int
        Tokens of the sentence.
    chunk, run : int
        Most tokens that share a matrix of weights, and most queries that share a key head.
    residual, residual_stride : int
        h of the first token, and from one token's to the next.
    pooled, logits : int
        What becomes of the sentence.
    work_biases, residual_biases : int
        Of a layer's matrices, by where their results go; behind the residuals.
    work_exponents, residual_exponents : int
        Row exponents, likewise.
    gains, betas : tuple of int
        Of the norms behind the attention and behind the feed-forward part.
    work, qkv_stride, hidden_stride : int
        q, k and v of a chunk, where the context takes the place of q; later the hidden layer.
    scores, key_scales, value_scales : tuple of int
        Of a run, for every token, in turns; behind q, k and v in the work region.
    score_stride : int
        Words from one query's scores to the next.
    row, codes, mantissas, exponent : int
        Before the first layer: the row of a token's embedding, behind which that of its position
        lies, and what it is made from.
    words : int
        Words in all.
    """

    tokens: int
    chunk: int
    run: int
    residual: int
    residual_stride: int
    pooled: int
    logits: int
    work_biases: int
    residual_biases: int
    work_exponents: int
    residual_exponents: int
    gains: tuple[int, int]
    betas: tuple[int, int]
    work: int
    qkv_stride: int
    hidden_stride: int
    scores: tuple[int, int]
    score_stride: int
    key_scales: tuple[int, int]
    value_scales: tuple[int, int]
    row: int
    codes: int
    mantissas: int
    exponent: int
    words: int


def run_length(params: CoreParams, tokens: int) -> int:
    """Most queries of a run: two sets of them may be encoded, and the core holds their scores."""
    tile = W8.outputs(params.tile_lanes)
    return min(max(params.batch // 2, 1), params.max_outputs // (-(-tokens // tile) * tile))


def lay_out_encoder(model: ConvertedEncoder, params: CoreParams, *, tokens: int) -> EncoderLayout:
    """Place the vectors of a sentence one behind the other."""
    c = model.config
    places = Places(params.vector_width)
    chunk, run = min(params.batch, tokens), run_length(params, tokens)
    width, rows = places.round(c.width), max(3 * c.width, c.ffn_width, c.labels)
    qkv_stride, hidden_stride = places.round(3 * c.width), places.round(c.ffn_width)
    score_stride = places.round(tokens)
    residual = places.take(tokens * width)
    pooled, logits = places.take(c.width), places.take(c.labels)
    work_biases, residual_biases = places.take(rows), places.take(c.width)
    work_exponents, residual_exponents = places.take(rows), places.take(c.width)
    gains, betas = places.pair(c.width), places.pair(c.width)
    work = places.end
    attention = Places(params.vector_width, work + chunk * qkv_stride)
    scores = attention.pair(run * score_stride)
    key_scales, value_scales = attention.pair(tokens), attention.pair(tokens)
    embedding = Places(params.vector_width, work)
    row, codes = embedding.take(2 * width), embedding.take(c.width)
    mantissas, exponent = embedding.take(-(-c.width // BLOCK)), embedding.take(1)
    return EncoderLayout(
        tokens=tokens,
        chunk=chunk,
        run=run,
        residual=residual,
        residual_stride=width,
        pooled=pooled,
        logits=logits,
        work_biases=work_biases,
        residual_biases=residual_biases,
        work_exponents=work_exponents,
        residual_exponents=residual_exponents,
        gains=gains,
        betas=betas,
        work=work,
        qkv_stride=qkv_stride,
        hidden_stride=hidden_stride,
        scores=scores,
        score_stride=score_stride,
        key_scales=key_scales,
        value_scales=value_scales,
        row=row,
        codes=codes,
        mantissas=mantissas,
        exponent=exponent,
        words=max(attention.end, embedding.end, work + chunk * hidden_stride),
    )
