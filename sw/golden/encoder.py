"""The whole encoder in integers (``docs/arithmetic.md`` §15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import TABLES, CodeTable
from sw.code_tables import check_table
from sw.convert.container import Quantizer
from sw.convert.encoder import ConvertedEncoder
from sw.errors import UserError
from sw.golden import attention, vector
from sw.golden.cache import code_heads
from sw.golden.counters import Counters
from sw.golden.encoder_vector import (
    LayerNorm,
    add_bias,
    gelu,
    reciprocal,
    sum_rows,
    words,
)
from sw.golden.integers import FRACTION, LOGIT_FRACTION, WORD, normalize, saturate
from sw.golden.linear import GoldenLinear, Linear, each_vector
from sw.golden.matrix import Matrix


class Encoding(NamedTuple):
    """What an encoder makes of a sentence, in words.

    Attributes
    ----------
    hidden : Tensor
        Of every token behind the last layer, RF fraction bits, int64, shape (tokens, width).
    pooled : Tensor
        The sentence's, RF fraction bits, shape (width,).
    logits : Tensor
        12 fraction bits, shape (labels,); empty without a head.
    """

    hidden: Tensor
    pooled: Tensor
    logits: Tensor


class GoldenEncoder:
    """A converted encoder that runs in integers, one sentence at a time.

    Parameters
    ----------
    model : ConvertedEncoder
        Model to run.
    table : str, optional
        Code table; the model's own if absent.
    linear : callable, optional
        Does every multiplication by a weight; see :class:`sw.golden.decoder.GoldenModel`.
    lanes, tile_lanes, integrator, memory, hole : optional
        The core whose memory reads are predicted, likewise.
    batch : int
        Neighbouring tokens that share what that core reads.

    Attributes
    ----------
    counters : dict
        Totals of the golden product since the last `reset`; zero if ``linear`` is given.
    golden : GoldenLinear
        The golden product; may be exchanged for one that counts more.

    Raises
    ------
    UserError
        If the table does not exist or cannot code linear layers.
    """

    def __init__(
        self,
        model: ConvertedEncoder,
        *,
        table: str | None = None,
        linear: Linear | None = None,
        lanes: int | None = None,
        tile_lanes: int | None = None,
        integrator: str = "mac",
        memory: str = "onchip",
        hole: int = 1,
        batch: int = 1,
    ) -> None:
        self.model, self.config = model, model.config
        self.table = TABLES[check_table(table, model.table)]
        self.golden = GoldenLinear(
            model,
            table=self.table,
            lanes=lanes,
            tile_lanes=tile_lanes,
            integrator=integrator,
            memory=memory,
            hole=hole,
            batch=batch,
        )
        self.linear, self.batch = linear, batch
        self._matrices = {key: Matrix(weights) for key, weights in model.matrices.items()}
        fraction = model.residual_fraction
        self._norms = {
            key: LayerNorm.of(
                *gains, model.betas[key], epsilon=self.config.norm_epsilon, fraction=fraction
            )
            for key, gains in model.norms.items()
        }
        self._positions = words(model.positions, fraction)

    @property
    def counters(self) -> Counters:
        """Totals of the golden product since the last `reset`."""
        return self.golden.counters

    def reset(self) -> None:
        """Set the counters to zero."""
        self.golden.reset()

    def encode(self, tokens: Sequence[int]) -> Encoding:
        """Encode a sentence.

        Parameters
        ----------
        tokens : sequence of int
            At least one token id, special tokens included.

        Raises
        ------
        UserError
            If there are none, more than there are positions, or an id is not in the vocabulary.
        """
        return self.encode_alike([tokens])[0]

    def encode_alike(self, sentences: Sequence[Sequence[int]]) -> list[Encoding]:
        """Encode sentences of one length together, which is faster and changes no number.

        Memory reads are predicted as if a core took the tokens of all of them, one after the other.

        Parameters
        ----------
        sentences : sequence of sequence of int
            Token ids, equally many of each.

        Raises
        ------
        UserError
            As of `encode`.
        ValueError
            If lengths differ.
        """
        if len({len(tokens) for tokens in sentences}) != 1:
            raise ValueError("wanted sentences of one length: sort them by it first")
        for tokens in sentences:
            check_sentence(tokens, vocabulary=self.config.vocabulary, context=self.config.context)
        embedded = [self._embed(np.asarray(tokens, dtype=np.int64)) for tokens in sentences]
        h = torch.cat(embedded)
        for layer in range(self.config.layers):
            h = self._layer(layer, h, len(sentences))
        hidden = h.unflatten(0, (len(sentences), -1))
        pooled = hidden[:, 0]
        if self.config.pooling == "mean":
            mean = reciprocal(hidden.shape[1])
            rows = [sum_rows(each, mean.mantissa, -mean.exponent) for each in hidden]
            pooled = torch.stack(rows)
        logits = torch.empty((len(sentences), 0), dtype=torch.int64)
        if self.config.labels:
            logits = self._product("head", pooled, fraction=LOGIT_FRACTION)
        return [Encoding(*parts) for parts in zip(hidden, pooled, logits, strict=True)]

    def _embed(self, ids: np.ndarray) -> Tensor:
        matrix = self._matrices["embedding"]
        rows = vector.embed(
            matrix.rows(ids),
            matrix.exponents[torch.from_numpy(ids)],
            fraction=self.model.residual_fraction,
        )
        both = torch.stack([rows, self._positions[: len(ids)]])
        return self._norms["embedding_norm"](sum_rows(both, 1, 0))

    def _layer(self, layer: int, h: Tensor, sentences: int) -> Tensor:
        prefix = f"layers.{layer}."
        mixed = self._attend(layer, self._product(f"{prefix}qkv", h), sentences)
        h = self._add(f"{prefix}attn_output", h, mixed)
        h = self._norms[f"{prefix}attn_norm"](h)
        hidden = gelu(self._product(f"{prefix}ffn_up", h))
        h = self._add(f"{prefix}ffn_down", h, hidden)
        return self._norms[f"{prefix}ffn_norm"](h)

    def _product(self, name: str, h: Tensor, fraction: int = FRACTION) -> Tensor:
        """Multiply residuals, and add biases."""
        bias = words(self.model.biases[name], fraction)
        return self._multiply(name, h, self.model.residual_fraction, bias, fraction)

    def _add(self, name: str, h: Tensor, y: Tensor) -> Tensor:
        """Multiply words with F fraction bits, and add biases and results to residuals."""
        fraction = self.model.residual_fraction
        biased = saturate(h + words(self.model.biases[name], fraction), WORD)
        return self._multiply(name, y, FRACTION, biased, fraction)

    def _multiply(self, name: str, y: Tensor, given: int, bias: Tensor, fraction: int) -> Tensor:
        matrix, (x, n) = self._matrices[name], normalize(y)
        if self.linear is None:
            accumulator, base = self.golden(name, matrix, x)
        else:
            accumulator, base = each_vector(self.linear, name, matrix, x)
        return add_bias(bias, accumulator, given - base - n, matrix.exponents, fraction=fraction)

    def _attend(self, layer: int, qkv: Tensor, sentences: int) -> Tensor:
        """Mix values; to attention, the heads of every sentence are heads like others."""
        c, tokens = self.config, len(qkv) // sentences
        heads = qkv.view(sentences, tokens, 3, c.heads, c.head_width).permute(2, 0, 3, 1, 4)
        query, keys, values = heads.flatten(1, 2)
        visible = torch.ones(tokens, tokens, dtype=torch.bool)
        table = attention.query_table(self.table)
        quantizer = self._quantizer(layer, "query", table)
        score = attention.scores(
            query[:, None],
            code_heads(keys),
            visible,
            table=table,
            constant=quantizer.constant,
            threshold=quantizer.threshold,
        )
        table = attention.probability_table(self.table)
        mixed = attention.context(
            attention.probabilities(score, visible),
            code_heads(values),
            visible,
            table=table,
            threshold=self._quantizer(layer, "probability", table).threshold,
        )
        mixed = mixed.squeeze(1).unflatten(0, (sentences, c.heads))
        return mixed.transpose(1, 2).flatten(2).flatten(0, 1)

    def _quantizer(self, layer: int, site: str, table: CodeTable) -> Quantizer:
        return self.model.quantizer(f"layers.{layer}.{site}", table.name)


def check_sentence(tokens: Sequence[int], *, vocabulary: int, context: int) -> None:
    """Refuse what is no sentence of a model.

    Raises
    ------
    UserError
        If there are no tokens, more than ``context``, or an id is not in the vocabulary.
    """
    if not 1 <= len(tokens) <= context:
        raise UserError(
            f"a sentence must have 1 to {context} tokens, not {len(tokens)}: shorten or split it"
        )
    for token in tokens:
        if not 0 <= token < vocabulary:
            raise UserError(
                f"token ids must be 0..{vocabulary - 1}, not {token}: use the model's own tokenizer"
            )
