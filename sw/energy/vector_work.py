"""What happens between the matrices, counted from a model's shape (``docs/energy.md``)."""

from __future__ import annotations

import dataclasses

from sw.energy.technology import Technology
from sw.load.checkpoint import LlamaConfig

#: Bits of a vector word, of gains, table entries and multipliers, and of cached codes.
_WORD, _HALF, _CODE = 24, 16, 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorWork:
    """Operations of all tokens outside the matrices' products.

    Attributes
    ----------
    additions : int
        Additions, subtractions and comparisons.
    products : int
        Products of a vector word and a 16-bit factor.
    wide_products : int
        Products of two vector words.
    memory_bits : int
        Bits of vector memory and tables, read and written.
    cache_bits : int
        Bits of keys and values written.
    """

    additions: int
    products: int
    wide_products: int
    memory_bits: int
    cache_bits: int

    @classmethod
    def of(
        cls, config: LlamaConfig, *, tokens: int, window: int, dense_bits: int | None
    ) -> VectorWork:
        """Count for tokens in windows of one length."""
        c, layers = config, config.layers
        attention, cached = c.heads * c.head_width, c.kv_heads * c.head_width
        floating = dense_bits == 32
        word, code = (32, 32) if floating else (_WORD, _CODE)
        scores = c.heads * (window + 1) // 2  # mean of a token, per layer
        normed = (2 * layers + 1) * c.width
        outputs = layers * (2 * attention + 2 * cached + 2 * c.width + 2 * c.ffn_width + scores)
        outputs += c.vocabulary
        coded = layers * (2 * c.width + attention + c.ffn_width + attention + scores) + c.width
        pairs = layers * (attention + cached) // 2
        additions = normed + 2 * pairs + layers * (3 * scores + 2 * c.width)
        products = normed + 4 * pairs + 2 * layers * (scores + c.ffn_width // 2) + outputs
        wide = normed + layers * c.ffn_width
        if not floating:  # a block's sum and maximum, four comparisons with levels, one quotient
            additions += 6 * coded
            products += coded + 2 * layers * cached
        tables = _HALF * layers * (scores + c.ffn_width)
        memory = 2 * word * (outputs + normed) + _HALF * (normed + 2 * pairs) + tables
        return cls(
            additions=tokens * additions,
            products=tokens * products,
            wide_products=tokens * wide,
            memory_bits=tokens * memory,
            cache_bits=tokens * 2 * layers * cached * code,
        )

    def picojoules(self, technology: Technology, *, floating: bool) -> float:
        """Energy without the caches."""
        if floating:
            multiply = technology["float_multiply"]
            work = self.additions * technology["float_add"]
            work += (self.products + self.wide_products) * multiply
        else:
            work = self.additions * technology["accumulate"]
            work += self.products * technology.product(_WORD, _HALF)
            work += self.wide_products * technology.product(_WORD, _WORD)
        return work + self.memory_bits * technology["sram"]
