"""Where the heads of a layer are, and which of them attend together."""

from __future__ import annotations

import dataclasses

from sw.compile.vector_layout import VectorLayout
from sw.load.checkpoint import LlamaConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionRun:
    """Query heads of one token that share a key head.

    Attributes
    ----------
    group, token : int
        Number of the key head, and of the token among those that are made at once.
    query, heads : int
        Address of the first head, where its context goes too, and how many there are.
    first : bool
        No other run of the group is before.
    region : int
        Which of two regions has the scales of its keys, and of its values.
    """

    group: int
    token: int
    query: int
    heads: int
    first: bool
    region: int


class HeadPlaces:
    """Addresses of the heads of all tokens.

    Parameters
    ----------
    config : LlamaConfig
        Numbers and sizes.
    vectors : VectorLayout
        Where vectors are.
    tokens : int
        Tokens that are made at once.
    """

    def __init__(self, config: LlamaConfig, vectors: VectorLayout, *, tokens: int) -> None:
        self._config, self._vectors, self._tokens = config, vectors, tokens

    def query(self, head: int, token: int) -> int:
        """Return the address of a head of q."""
        vectors = self._vectors
        return vectors.work + token * vectors.qkv_stride + head * self._config.head_width

    def key(self, head: int, token: int) -> int:
        """Return the address of a head of k."""
        return self.query(self._config.heads + head, token)

    def value(self, head: int, token: int) -> int:
        """Return the address of a head of v."""
        return self.key(self._config.kv_heads + head, token)

    def runs(self, most: int) -> list[AttentionRun]:
        """Return runs of so many heads at most, those of a key head behind each other.

        The last key head's come first: its queries lie beside keys and values.
        """
        heads = self._config.heads // self._config.kv_heads
        last = self._config.kv_heads - 1
        return [
            AttentionRun(
                group=group,
                token=token,
                query=self.query(group * heads + start, token),
                heads=min(most, heads - start),
                first=token == start == 0,
                region=turn % 2,
            )
            for turn, group in enumerate((last, *range(last)))
            for token in range(self._tokens)
            for start in range(0, heads, most)
        ]
