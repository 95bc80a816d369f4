"""Instructions of one layer's attention, from q, k and v to the context (arithmetic.md §7 to §9).

The query heads of a key head share its caches: they are vectors of one MATVEC, a run. The runs are
a pipeline: while one's scores are multiplied, those of the run before become probabilities, and its
values are multiplied while the next one's queries are encoded. So vectors take turns in two sets of
numbers, with a bank of marks each, and scores in two regions.
"""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.formats import W8
from hw.spec.program import Drain, Opcode
from hw.spec.scales import SCALE_FRACTION
from sw.compile.attention_runs import AttentionRun, HeadPlaces
from sw.compile.cache_layout import HeadCaches
from sw.compile.instructions import mode
from sw.compile.products import project
from sw.compile.writer import Writer
from sw.golden.attention import (
    CONTEXT_SHIFT,
    SCORE_FRACTION,
    probability_table,
    query_table,
    score_scale,
)
from sw.golden.integers import FRACTION


class _Attention:
    """Writes the attention of a layer; see :func:`write_attention`."""

    def __init__(self, writer: Writer, layer: int, caches: Sequence[HeadCaches]) -> None:
        self._writer, self._prefix, self._caches = writer, f"layers.{layer}.", caches
        self._config, self._tokens = writer.model.config, range(writer.tokens)
        c = self._config
        self._places = HeadPlaces(c, writer.vectors, tokens=writer.tokens)
        self._shared = min(c.heads // c.kv_heads, writer.batch)
        self._sets = 2 if writer.batch >= 2 * self._shared else 1
        query, probability = query_table(writer.table), probability_table(writer.table)
        self._query = {
            "mode": mode(query, W8.number),
            "quantizer": writer.quantizer(f"{self._prefix}query", query),
        }
        self._probability = {
            "mode": mode(probability, W8.number, fixed=1),
            "quantizer": writer.quantizer(f"{self._prefix}probability", probability),
        }

    def project(self, *, loads_late: bool) -> None:
        """Multiply what the first run needs, k and v, then the other queries beside its work."""
        writer, c, name = self._writer, self._config, f"{self._prefix}qkv"
        norm, stride = f"{self._prefix}attn_norm", writer.vectors.qkv_stride
        border, others = first_rows(writer, name), _queries_behind(writer)
        for chunk in writer.chunks(name, first=border):
            project(writer, name, chunk, norm=norm, stride=stride)
        if loads_late:
            writer.load_exponents(name, end=border)
            writer.load_rotary()
        writer.load_exponents(f"{self._prefix}attn_output")
        writer.load_gains(f"{self._prefix}ffn_norm")
        for chunk in writer.chunks(name, end=border):
            project(writer, name, chunk, norm=norm, stride=stride)
        self._turn(others, c.heads + c.kv_heads)
        for group in range(c.kv_heads):
            for token in self._tokens:
                self._keep_value(group, token)

    def mix(self) -> None:
        """Put the context in place of q, run by run; the weights' vectors begin in bank 0."""
        runs, behind = self._places.runs(self._shared), self._sets - 1
        for number, run in enumerate(runs):
            if run.first:
                self._keep_keys(run.group)
            self._scores(run, number, bank=0 if number else behind)
            if number == 0:
                self._turn(0, _queries_behind(self._writer))
            if run.first:
                self._load_scales("value_scales", run)
            if number:
                self._context(runs[number - 1], number - 1, bank=behind)
        last = len(runs) - 1
        self._context(runs[last], last, bank=0 if last else behind)

    def _turn(self, first: int, end: int) -> None:
        """Turn heads of q, and of k behind them."""
        writer, c = self._writer, self._config
        for token in self._tokens if first < end else ():
            cosines = writer.vectors.rotary + 2 * token * writer.vectors.rotary_stride
            writer.add(
                Opcode.ROTATE,
                a=self._places.query(first, token),
                b=cosines + writer.vectors.rotary_stride,
                c=cosines,
                count=end - first,
                inner=c.head_width // 2,
                interleaved=int(c.rope_interleaved),
            )

    def finish(self) -> None:
        """Encode the context of all heads; load for the next norm's matrix, which is long."""
        self._writer.load_exponents(f"{self._prefix}gate_up")
        count = self._config.heads * self._config.head_width
        for token in self._tokens:
            self._writer.add(
                Opcode.NORMALIZE, a=self._places.query(0, token), count=count, vector=token
            )
            self._writer.encode(f"{self._prefix}attn_output", token)

    def _keep_value(self, group: int, token: int) -> None:
        c = self._config
        value = self._places.value(group, token)
        cache = self._caches[group].keep_value()
        self._writer.add(Opcode.KEEP, a=value, count=c.head_width, ahead=token, **cache)

    def _keep_keys(self, group: int) -> None:
        """Keep the keys of all tokens."""
        c, cache = self._config, self._caches[group]
        for token in self._tokens:
            key = self._places.key(group, token)
            self._writer.add(
                Opcode.KEEP, a=key, count=c.head_width, ahead=token, **cache.keep_key()
            )

    def _load_scales(self, kind: str, run: AttentionRun) -> None:
        """Load the scales of a key head's keys or values, of all tokens."""
        self._writer.add(
            Opcode.LOAD,
            target=getattr(self._writer.vectors, kind)[run.region],
            size=2,
            count_by_position=1,
            ahead=self._tokens[-1],
            address=getattr(self._caches[run.group], kind),
            inner=self._caches[run.group].shape.context,
            inner_stride=2,
        )

    def _scores(self, run: AttentionRun, number: int, *, bank: int) -> None:
        """Multiply the queries of a run by the keys, as the vectors of a bank."""
        writer, head_width = self._writer, self._config.head_width
        cache, first = self._caches[run.group], bank * self._shared
        for head in range(run.heads):
            vector = {"vector": first + head}
            query = run.query + head * head_width
            writer.add(Opcode.NORMALIZE, a=query, count=head_width, **vector)
            if run.first and head == 0:  # the keys have been kept
                self._load_scales("key_scales", run)
            coding = self._query | {"inputs": head_width}
            writer.add(Opcode.ENCODE, **vector, **_marks(head, bank), **coding)
        multiplier, exponent = score_scale(head_width)
        writer.add(
            Opcode.MATVEC,
            inputs=head_width,
            vector=first,
            vectors=run.heads,
            bank=bank,
            tiles_by_position=1,
            ahead=run.token,
            shift=cache.shape.shift,
            weight_base=writer.beat(cache.keys),
            drain=Drain.SCORES,
            b=writer.vectors.key_scales[run.region],
            target=writer.vectors.scores[number % 2],
            stride=writer.vectors.score_stride,
            count_by_position=1,
            constant=2 * FRACTION + SCALE_FRACTION - SCORE_FRACTION - exponent,
            multiplier=multiplier,
            **self._query,
        )

    def _context(self, run: AttentionRun, number: int, *, bank: int) -> None:
        """Multiply the probabilities of a run by the values, as the vectors of a bank."""
        writer, shape = self._writer, self._caches[run.group].shape
        first, scores = bank * self._shared, writer.vectors.scores[number % 2]
        length = {"inputs_by_position": 1, "ahead": run.token}
        for head in range(run.heads):
            vector = {"vector": first + head}
            writer.add(
                Opcode.SOFTMAX,
                a=scores + head * writer.vectors.score_stride,
                b=writer.vectors.value_scales[run.region],
                count_by_position=1,
                ahead=run.token,
                **vector,
            )
            coding = self._probability | length
            writer.add(Opcode.ENCODE, **vector, **_marks(head, bank), **coding)
        for tile in range(shape.value_tiles):
            channel = tile * shape.row_bytes
            values = self._caches[run.group].values + tile * shape.value_tile_bytes
            writer.add(
                Opcode.MATVEC,
                vector=first,
                vectors=run.heads,
                bank=bank,
                tiles=1,
                weight_base=writer.beat(values),
                drain=Drain.CONTEXT,
                target=run.query + channel,
                stride=self._config.head_width,
                count=min(shape.row_bytes, shape.head_width - channel),
                constant=CONTEXT_SHIFT,
                **length,
                **self._probability,
            )


def _marks(head: int, bank: int) -> dict[str, int]:
    """Operands by which the rows of a run's heads are marked."""
    return {"join": int(head > 0), "bank": bank, "uncounted": 1}


def _queries_behind(writer: Writer) -> int:
    """Count the heads of q of all key heads but the last, whose run is the first."""
    c = writer.model.config
    return c.heads - c.heads // c.kv_heads


def first_rows(writer: Writer, name: str) -> int:
    """Return the row from which a matrix of q, k and v is multiplied first."""
    tile_rows = writer.tables.matrices[name].tile_rows
    return _queries_behind(writer) * writer.model.config.head_width // tile_rows * tile_rows


def write_attention(
    writer: Writer, layer: int, caches: Sequence[HeadCaches], *, loads_late: bool = False
) -> None:
    """Write what is between the encoded input of a layer and that of its attention's output.

    Parameters
    ----------
    writer : Writer
        Takes the instructions.
    layer : int
        Number of the layer.
    caches : sequence of HeadCaches
        The layer's, for each key head.
    loads_late : bool
        Rotary tables, and row exponents before :func:`first_rows`, are not loaded so far.
    """
    attention = _Attention(writer, layer, caches)
    attention.project(loads_late=loads_late)
    attention.mix()
    attention.finish()
