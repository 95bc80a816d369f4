"""Instructions of an encoder's attention, from encoded residuals to the context (§15).

Keys and values of all tokens are kept before the first query attends. The queries of one head and
several tokens are vectors of one MATVEC, a run. The runs are a pipeline, as in
:mod:`sw.compile.attention_program`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hw.spec.formats import W8
from hw.spec.program import Drain, Opcode
from hw.spec.scales import SCALE_FRACTION
from sw.compile.cache_layout import HeadCaches
from sw.compile.encoder_writer import EncoderWriter
from sw.compile.instructions import mode
from sw.golden.attention import (
    CONTEXT_SHIFT,
    SCORE_FRACTION,
    probability_table,
    query_table,
    score_scale,
)
from sw.golden.integers import FRACTION


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """Neighbouring vectors of a chunk, of one head.

    Attributes
    ----------
    head, first, vectors : int
        Head, first vector of the chunk, and how many there are.
    """

    head: int
    first: int
    vectors: int


class EncoderAttention:
    """Writes the attention of a layer.

    Parameters
    ----------
    writer : EncoderWriter
        Takes the instructions.
    layer : int
        Number of the layer.
    caches : sequence of HeadCaches
        For each head; every layer uses the same.
    """

    def __init__(self, writer: EncoderWriter, layer: int, caches: Sequence[HeadCaches]) -> None:
        self._writer, self._caches, self._config = writer, caches, writer.model.config
        self._tokens = writer.vectors.tokens
        self._sets = 2 if writer.batch >= 2 else 1
        query, probability = query_table(writer.table), probability_table(writer.table)
        prefix = f"layers.{layer}."
        self._qkv = f"{prefix}qkv"
        self._query = {
            "mode": mode(query, W8.number),
            "quantizer": writer.quantizer(f"{prefix}query", query),
        }
        self._probability = {
            "mode": mode(probability, W8.number, fixed=1),
            "quantizer": writer.quantizer(f"{prefix}probability", probability),
        }

    def keep(self, chunk: range) -> None:
        """Multiply for the keys and values of a chunk's tokens, and keep them."""
        writer, width = self._writer, self._config.width
        writer.normalize(self._qkv, [writer.residual(token) for token in chunk])
        self._project(chunk, range(width, 3 * width))
        for vector, token in enumerate(chunk):
            for head, caches in enumerate(self._caches):
                for kind, operands in enumerate((caches.keep_key(), caches.keep_value())):
                    writer.add(
                        Opcode.KEEP,
                        a=self._place(head, vector) + (1 + kind) * width,
                        count=self._config.head_width,
                        **_at(token, operands),
                    )

    def mix(self, chunk: range) -> None:
        """Multiply for the queries of a chunk's tokens; put the context in their place."""
        writer = self._writer
        residuals = [writer.residual(token) for token in chunk]
        writer.normalize(self._qkv, residuals, uncounted=True)
        self._project(chunk, range(self._config.width))
        most = writer.vectors.run
        runs = [
            _Run(head=head, first=first, vectors=min(most, len(chunk) - first))
            for head in range(self._config.heads)
            for first in range(0, len(chunk), most)
        ]
        behind = self._sets - 1
        for number, run in enumerate(runs):
            self._scores(run, number, bank=0)
            if number:
                self._context(runs[number - 1], number - 1, bank=behind)
        self._context(runs[-1], len(runs) - 1, bank=behind)

    def _project(self, chunk: range, rows: range) -> None:
        writer = self._writer
        stride = writer.vectors.qkv_stride
        writer.project(
            self._qkv, vectors=len(chunk), target=writer.work(0), stride=stride, rows=rows
        )

    def _place(self, head: int, vector: int) -> int:
        """Return the address of a head of q, or of its context."""
        return self._writer.work(vector) + head * self._config.head_width

    def _load_scales(self, target: int, address: int) -> None:
        self._writer.load(target, address, self._tokens, size=2)

    def _scores(self, run: _Run, number: int, *, bank: int) -> None:
        """Multiply the queries of a run by the keys, as the vectors of a bank."""
        writer, head_width = self._writer, self._config.head_width
        cache, vectors = self._caches[run.head], writer.vectors
        first = bank * vectors.run
        self._load_scales(vectors.key_scales[number % 2], cache.key_scales)
        for vector in range(run.vectors):
            query = self._place(run.head, run.first + vector)
            writer.add(Opcode.NORMALIZE, a=query, count=head_width, vector=first + vector)
            coding = self._query | {"inputs": head_width} | _marks(vector, bank)
            writer.add(Opcode.ENCODE, vector=first + vector, **coding)
        multiplier, exponent = score_scale(head_width)
        writer.add(
            Opcode.MATVEC,
            inputs=head_width,
            vector=first,
            vectors=run.vectors,
            bank=bank,
            tiles=-(-self._tokens // cache.shape.row_bytes),
            weight_base=writer.beat(cache.keys),
            drain=Drain.SCORES,
            b=vectors.key_scales[number % 2],
            target=vectors.scores[number % 2],
            stride=vectors.score_stride,
            count=self._tokens,
            constant=2 * FRACTION + SCALE_FRACTION - SCORE_FRACTION - exponent,
            multiplier=multiplier,
            **self._query,
        )

    def _context(self, run: _Run, number: int, *, bank: int) -> None:
        """Multiply the probabilities of a run by the values, as the vectors of a bank."""
        writer, cache = self._writer, self._caches[run.head]
        shape, vectors = cache.shape, writer.vectors
        first, scores = bank * vectors.run, vectors.scores[number % 2]
        self._load_scales(vectors.value_scales[number % 2], cache.value_scales)
        for vector in range(run.vectors):
            writer.add(
                Opcode.SOFTMAX,
                a=scores + vector * vectors.score_stride,
                b=vectors.value_scales[number % 2],
                count=self._tokens,
                vector=first + vector,
            )
            coding = self._probability | {"inputs": self._tokens} | _marks(vector, bank)
            writer.add(Opcode.ENCODE, vector=first + vector, **coding)
        for tile in range(shape.value_tiles):
            channel = tile * shape.row_bytes
            writer.add(
                Opcode.MATVEC,
                vector=first,
                vectors=run.vectors,
                bank=bank,
                inputs=self._tokens,
                tiles=1,
                weight_base=writer.beat(cache.values + tile * shape.value_tile_bytes),
                drain=Drain.CONTEXT,
                target=self._place(run.head, run.first) + channel,
                stride=vectors.qkv_stride,
                count=min(shape.row_bytes, shape.head_width - channel),
                constant=CONTEXT_SHIFT,
                **self._probability,
            )


def _marks(vector: int, bank: int) -> dict[str, int]:
    """Operands by which the rows of a run's vectors are marked."""
    return {"join": int(vector > 0), "bank": bank, "uncounted": 1}


def _at(token: int, operands: dict[str, int]) -> dict[str, int]:
    """Operands of KEEP at the place of a token, whatever the position."""
    kept = dict(operands)
    del kept["index"]
    shift, high, low = (kept.pop(name) for name in ("shift", "stride_high", "stride_low"))
    moved = (token >> shift) * high + token % (1 << shift) * low
    kept["address"] += moved
    if "mantissas" in kept:
        kept["mantissas"] += moved
    kept["scales"] += 2 * token
    return kept
