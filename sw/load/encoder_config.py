"""Shape and constants of an encoder of the BERT family."""

from __future__ import annotations

import dataclasses

#: How the tokens of a sentence become one vector: their mean, or the first one's.
POOLINGS = ("mean", "cls")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What an encoder's checkpoint says of its shape.

    Attributes
    ----------
    layers, width, ffn_width, heads, vocabulary, context : int
        Sizes; ``width`` is a multiple of ``heads``, ``context`` the number of positions.
    labels : int
        Outputs of the linear head; 0 if there is none, and the result is the pooled vector.
    pooling : str
        One of :data:`POOLINGS`.
    norm_epsilon : float
        Epsilon of LayerNorm, added to the variance.
    """

    layers: int
    width: int
    ffn_width: int
    heads: int
    vocabulary: int
    context: int
    labels: int
    pooling: str
    norm_epsilon: float

    @property
    def head_width(self) -> int:
        """Width of an attention head."""
        return self.width // self.heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values: each query head has its own."""
        return self.heads
