"""Instructions of one layer's attention, from q, k and v to the context (arithmetic.md §7 to §9).

The first LOAD of a cache's scales stands behind a NORMALIZE: beside KEEP it would read too early.
"""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.formats import W8
from hw.spec.program import Drain, Opcode
from hw.spec.scales import SCALE_FRACTION
from sw.compile.cache_layout import HeadCaches
from sw.compile.writer import Writer, mode
from sw.golden.attention import (
    CONTEXT_SHIFT,
    SCORE_FRACTION,
    probability_table,
    query_table,
    score_scale,
)
from sw.golden.integers import FRACTION


def write_attention(writer: Writer, layer: int, caches: Sequence[HeadCaches]) -> None:
    """Turn q, k and v in the work region into the context of all heads, normalized.

    Parameters
    ----------
    writer : Writer
        Takes the instructions.
    layer : int
        Number of the layer.
    caches : sequence of HeadCaches
        The layer's, for each key head.
    """
    c, vectors = writer.model.config, writer.vectors
    writer.add(
        Opcode.ROTATE,
        a=vectors.work,
        b=vectors.sines,
        c=vectors.cosines,
        count=c.heads + c.kv_heads,
        inner=c.head_width // 2,
        interleaved=int(c.rope_interleaved),
    )
    heads = [vectors.work + i * c.head_width for i in range(c.heads + 2 * c.kv_heads)]
    queries, keys, values = heads[: c.heads], heads[c.heads :], heads[c.heads + c.kv_heads :]
    for cache, key, value in zip(caches, keys, values, strict=False):
        writer.add(Opcode.KEEP, a=key, count=c.head_width, **cache.keep_key())
        writer.add(Opcode.KEEP, a=value, count=c.head_width, **cache.keep_value())
    shared = c.heads // c.kv_heads
    for i, query in enumerate(queries):
        # The query heads of one key head follow each other and share the caches' scales.
        first = i % shared == 0
        _scores(writer, layer, caches[i // shared], query, load=first)
        _context(writer, layer, caches[i // shared], query, load=first)
    writer.add(Opcode.NORMALIZE, a=vectors.work, count=c.heads * c.head_width)


def _scores(writer: Writer, layer: int, cache: HeadCaches, query: int, *, load: bool) -> None:
    vectors, head_width = writer.vectors, cache.shape.head_width
    writer.add(Opcode.NORMALIZE, a=query, count=head_width)
    if load:
        _load_scales(writer, vectors.key_scales, cache.key_scales, cache)
    multiplier, exponent = score_scale(head_width)
    table = query_table(writer.table)
    writer.add(
        Opcode.MATVEC,
        inputs=head_width,
        tiles_by_position=1,
        shift=cache.shape.shift,
        mode=mode(table, W8.number),
        quantizer=writer.quantizer(f"layers.{layer}.query", table),
        weight_base=writer.beat(cache.keys),
        drain=Drain.SCORES,
        b=vectors.key_scales,
        target=vectors.scores,
        count_by_position=1,
        constant=2 * FRACTION + SCALE_FRACTION - SCORE_FRACTION - exponent,
        multiplier=multiplier,
    )


def _context(writer: Writer, layer: int, cache: HeadCaches, query: int, *, load: bool) -> None:
    """Put the context in place of the query."""
    vectors, shape = writer.vectors, cache.shape
    if load:
        _load_scales(writer, vectors.value_scales, cache.value_scales, cache)
    writer.add(Opcode.SOFTMAX, a=vectors.scores, b=vectors.value_scales, count_by_position=1)
    table = probability_table(writer.table)
    for tile in range(shape.value_tiles):
        channel = tile * shape.row_bytes
        writer.add(
            Opcode.MATVEC,
            inputs_by_position=1,
            tiles=1,
            mode=mode(table, W8.number, fixed=1),
            quantizer=writer.quantizer(f"layers.{layer}.probability", table),
            weight_base=writer.beat(cache.values + tile * shape.value_tile_bytes),
            reuse=int(tile > 0),
            drain=Drain.CONTEXT,
            target=query + channel,
            count=min(shape.row_bytes, shape.head_width - channel),
            constant=CONTEXT_SHIFT,
        )


def _load_scales(writer: Writer, target: int, address: int, cache: HeadCaches) -> None:
    writer.add(
        Opcode.LOAD,
        target=target,
        size=2,
        count_by_position=1,
        address=address,
        inner=cache.shape.context,
        inner_stride=2,
    )
