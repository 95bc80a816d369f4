"""Where the vectors of a token lie in vector memory."""

from __future__ import annotations

import dataclasses

from hw.spec.params import CoreParams
from sw.convert.container import ConvertedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorLayout:
    """Word addresses; each a multiple of ``vector_width``.

    Attributes
    ----------
    residual : int
        h.
    work : int
        q, k and v of all heads, where the context takes the place of q; later gate and up.
    gains : int
        Gains of the next norm.
    exponents : tuple of int
        Row exponents of two matrices: one is read while the next ones come.
    cosines, sines : int
        Rotary tables of the token's position.
    scores, key_scales, value_scales : int
        Of one head, for every token in the caches.
    words : int
        Words in all.
    """

    residual: int
    work: int
    gains: int
    exponents: tuple[int, int]
    cosines: int
    sines: int
    scores: int
    key_scales: int
    value_scales: int
    words: int


def lay_out_vectors(model: ConvertedModel, params: CoreParams, *, context: int) -> VectorLayout:
    """Place the vectors of a model one behind the other."""
    c, matrices = model.config, model.matrices
    # Row exponents of a head come in chunks, and never more than fit the output buffer.
    layers = [m.rows for name, m in matrices.items() if name.startswith("layers.")]
    exponents = max(*layers, min(c.vocabulary, params.max_outputs))
    qkv = (c.heads + 2 * c.kv_heads) * c.head_width
    sizes = {
        "residual": c.width,
        "work": max(qkv, 2 * c.ffn_width, c.width),
        "gains": c.width,
        "even": exponents,
        "odd": exponents,
        "cosines": c.head_width // 2,
        "sines": c.head_width // 2,
        "scores": context,
        "key_scales": context,
        "value_scales": context,
    }
    places, words = {}, 0
    for name, size in sizes.items():
        places[name] = words
        words += -(-size // params.vector_width) * params.vector_width
    pair = places.pop("even"), places.pop("odd")
    return VectorLayout(**places, exponents=pair, words=words)
