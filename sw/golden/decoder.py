"""The whole decoder in integers (``docs/arithmetic.md`` §12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw.spec.codes import TABLES, CodeTable
from hw.spec.crossbar import Crossbar
from sw.code_tables import check_table
from sw.convert.container import ConvertedModel, Quantizer
from sw.errors import UserError
from sw.golden import attention, vector
from sw.golden.cache import HeadCache
from sw.golden.codes import Encoded
from sw.golden.counters import Counters
from sw.golden.crossbar_linear import CrossbarLinear
from sw.golden.integers import FRACTION, LOGIT_FRACTION, normalize
from sw.golden.linear import GoldenLinear, Linear, each_vector
from sw.golden.matrix import Matrix

#: Tokens of a prefill that are computed at once: enough for matrices, few enough for caches.
_BATCH = 64


class GoldenModel:
    """A converted model that runs in integers, token by token or many tokens at once.

    Parameters
    ----------
    model : ConvertedModel
        Model to run.
    table : str, optional
        Code table; the model's own if absent.
    linear : callable, optional
        Does every multiplication by a weight, one vector at a time: ``linear(name, matrix, x)``
        with the matrix's name and int64 elements in -32767..32767 returns int64 accumulators of
        shape (rows,) and the base exponent E. The golden product if absent.
    lanes, tile_lanes : int, optional
        Lanes of the core whose memory reads are predicted, and of its tiles, if they are wider.
    integrator, memory, hole : str, str, int
        That core's integrator, where its weights are, and which holes it reads through.
    batch : int
        Tokens of a call that share what that core reads, at most 64.
    matrices : mapping, optional
        ``matrices`` of another golden model with the same weights, which need not be made again.
    crossbar : Crossbar, optional
        That core's crossbars, if it has any; they need ``lanes``, their width.

    Attributes
    ----------
    counters : dict
        Totals of the golden product since the last `reset`; zero if ``linear`` is given.
    golden : GoldenLinear
        The golden product; may be exchanged for one that counts more.
    matrices : dict of str to Matrix
        The weights, ready for products.
    observe : callable, optional
        Receives the codes of attention: ``observe(tensor, encoded, first)`` with
        ``layers.N.query`` and ``layers.N.probability``, of all heads and tokens of a call, the
        first of which is at position ``first``.
    report : callable, optional
        Called after each layer, and after the head, with the tokens that have passed it.
    position : int
        Tokens in the cache.

    Raises
    ------
    UserError
        If the table does not exist or cannot code linear layers.
    """

    def __init__(
        self,
        model: ConvertedModel,
        *,
        table: str | None = None,
        linear: Linear | None = None,
        lanes: int | None = None,
        tile_lanes: int | None = None,
        integrator: str = "mac",
        memory: str = "onchip",
        hole: int = 1,
        batch: int = 1,
        matrices: Mapping[str, Matrix] | None = None,
        crossbar: Crossbar | None = None,
    ) -> None:
        self.observe: Callable[[str, Encoded, int], None] | None = None
        self.report: Callable[[int], None] = lambda tokens: None
        self.model, self.config = model, model.config
        self.table = TABLES[check_table(table, model.table)]
        core: dict[str, Any] = {
            "table": self.table,
            "lanes": lanes,
            "tile_lanes": tile_lanes,
            "integrator": integrator,
            "memory": memory,
            "hole": hole,
            "batch": batch,
        }
        self.golden = (
            CrossbarLinear(model, crossbar=crossbar, **core)
            if crossbar
            else GoldenLinear(model, **core)
        )
        self.linear, self.batch = linear, batch
        self.matrices = dict(matrices or {k: Matrix(w) for k, w in model.matrices.items()})
        self.matrices.setdefault("head", self.matrices["embedding"])
        self._norms = {
            key: vector.Norm.of(
                gamma, fraction, epsilon=self.config.norm_epsilon, fraction=model.residual_fraction
            )
            for key, (gamma, fraction) in model.norms.items()
        }
        self._rope = torch.from_numpy(model.rope.astype(np.int64))
        self.reset()

    @property
    def counters(self) -> Counters:
        """Totals of the golden product since the last `reset`."""
        return self.golden.counters

    @property
    def caches(self) -> list[tuple[HeadCache, HeadCache]]:
        """Keys and values of every layer."""
        return self._caches

    def reset(self) -> None:
        """Forget all tokens and set the counters to zero."""
        self.reset_cache()
        self.golden.reset()

    def reset_cache(self) -> None:
        """Forget all tokens; the counters go on."""
        c = self.config
        shape = {"heads": c.kv_heads, "head_width": c.head_width, "context": c.context}
        self._caches = [(HeadCache(**shape), HeadCache(**shape)) for _ in range(c.layers)]
        self.position = 0

    def prefill(self, tokens: Sequence[int], *, last_only: bool = False) -> Tensor:
        """Append tokens and return the logits after each.

        Parameters
        ----------
        tokens : sequence of int
            At least one token id; what was said before stays in the cache.
        last_only : bool
            Only the last token meets the head.

        Returns
        -------
        Tensor
            int32, shape (tokens, vocabulary), 12 fraction bits; equal to those of `step`. With
            ``last_only`` only the last row.

        Raises
        ------
        UserError
            If the context would be exceeded, or an id is not in the vocabulary.
        """
        ids = np.asarray(tokens, dtype=np.int64)
        if ids.ndim != 1 or not len(ids):
            raise UserError("wanted at least one token, got none: give a prompt")
        if ids.min() < 0 or ids.max() >= self.config.vocabulary:
            wrong = ids.min() if ids.min() < 0 else ids.max()
            raise UserError(
                f"token ids must be 0..{self.config.vocabulary - 1}, not {wrong}: "
                "use the model's own tokenizer"
            )
        if self.position + len(ids) > self.config.context:
            raise UserError(
                f"the text would have {self.position + len(ids)} tokens, the model's context is "
                f"{self.config.context}: shorten it or start anew"
            )
        batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
        hidden = [self._run(batch) for batch in batches]
        if last_only:
            hidden = [hidden[-1][-1:]]
        return torch.cat([self._head(h) for h in hidden])

    def step(self, token: int) -> Tensor:
        """Append one token and return its logits: int32, shape (vocabulary,)."""
        return self.prefill([token])[0]

    def _run(self, ids: np.ndarray) -> Tensor:
        """Append tokens; return their residuals behind the last layer."""
        embedding = self.matrices["embedding"]
        h = vector.embed(
            embedding.rows(ids),
            embedding.exponents[torch.from_numpy(ids)],
            fraction=self.model.residual_fraction,
        )
        for layer in range(self.config.layers):
            h = self._layer(layer, h)
            self.report(len(ids))
        self.position += len(ids)
        return h

    def _head(self, h: Tensor) -> Tensor:
        logits = self._normed_matrix("output_norm", "head", h, LOGIT_FRACTION).int()
        self.report(len(h))
        return logits

    def _layer(self, layer: int, h: Tensor) -> Tensor:
        prefix = f"layers.{layer}."
        qkv = self._normed_matrix(f"{prefix}attn_norm", f"{prefix}qkv", h, FRACTION)
        mixed = self._attend(layer, qkv)
        h = self._add(f"{prefix}attn_output", h, mixed, FRACTION)
        gate_up = self._normed_matrix(f"{prefix}ffn_norm", f"{prefix}gate_up", h, FRACTION)
        hidden = vector.gate(*gate_up.chunk(2, -1))
        return self._add(f"{prefix}ffn_down", h, hidden, 2 * FRACTION)

    def _multiply(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        matrix = self.matrices[name]
        if self.linear is None:
            if len(x) == 1:  # the matrix-vector product is faster
                accumulator, base = self.golden(name, matrix, x[0])
                return accumulator[None], base[None]
            return self.golden(name, matrix, x)
        return each_vector(self.linear, name, matrix, x)

    def _normed_matrix(self, norm: str, name: str, h: Tensor, fraction: int) -> Tensor:
        normed = self._norms[norm](h)
        accumulator, base = self._multiply(name, normed.x)
        exponents = self.matrices[name].exponents
        return self._norms[norm].rescale(accumulator, normed, exponents, base, fraction)

    def _add(self, name: str, h: Tensor, y: Tensor, fraction: int) -> Tensor:
        x, n = normalize(y)
        accumulator, base = self._multiply(name, x)
        return vector.add_residual(
            h,
            accumulator,
            fraction - base - n,
            self.matrices[name].exponents,
            fraction=self.model.residual_fraction,
        )

    def _attend(self, layer: int, qkv: Tensor) -> Tensor:
        c, tokens = self.config, len(qkv)
        heads = qkv.view(tokens, -1, c.head_width)
        turning, values = heads.split([c.heads + c.kv_heads, c.kv_heads], 1)
        rotary = self._rope[self.position : self.position + tokens]
        query, keys = vector.rotate(turning, rotary, interleaved=c.rope_interleaved).split(
            [c.heads, c.kv_heads], 1
        )
        key_cache, value_cache = self._caches[layer]
        key_cache.append(keys)
        value_cache.append(values)
        past = torch.arange(key_cache.length)
        visible = past <= past[self.position :, None]
        shared = query.unflatten(1, (c.kv_heads, -1)).permute(1, 2, 0, 3)
        query_quantizer = self._quantizer(layer, "query", attention.query_table(self.table))
        score = attention.scores(
            shared,
            key_cache.coded,
            visible,
            table=attention.query_table(self.table),
            constant=query_quantizer.constant,
            threshold=query_quantizer.threshold,
            observe=self._observer(layer, "query"),
        )
        table = attention.probability_table(self.table)
        mixed = attention.context(
            attention.probabilities(score, visible),
            value_cache.coded,
            visible,
            table=table,
            threshold=self._quantizer(layer, "probability", table).threshold,
            observe=self._observer(layer, "probability"),
        )
        return mixed.permute(2, 0, 1, 3).flatten(1)

    def _quantizer(self, layer: int, site: str, table: CodeTable) -> Quantizer:
        return self.model.quantizer(f"layers.{layer}.{site}", table.name)

    def _observer(self, layer: int, site: str) -> attention.Observer | None:
        observe, tensor, first = self.observe, f"layers.{layer}.{site}", self.position
        return None if observe is None else lambda encoded: observe(tensor, encoded, first)
