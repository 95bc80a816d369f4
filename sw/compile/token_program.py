"""The order of a token's instructions (``docs/arithmetic.md`` §12)."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.codes import BLOCK
from hw.spec.formats import W8
from hw.spec.program import Index, Opcode
from sw.compile.attention_program import write_attention
from sw.compile.cache_layout import HeadCaches
from sw.compile.writer import Writer
from sw.golden.integers import FRACTION, LOGIT_FRACTION


def write_token(writer: Writer, caches: Sequence[Sequence[HeadCaches]]) -> None:
    """Write everything from the token's id to the largest logits.

    Parameters
    ----------
    writer : Writer
        Takes the instructions.
    caches : sequence of sequence of HeadCaches
        For every layer and key head.
    """
    write_embedding(writer)
    for layer, heads in enumerate(caches):
        write_layer(writer, layer, heads)
    write_head(writer)


def write_layer(writer: Writer, layer: int, caches: Sequence[HeadCaches]) -> None:
    """Write a layer, from residual to residual."""
    prefix = f"layers.{layer}."
    writer.load_gains(f"{prefix}attn_norm")
    writer.load_exponents(f"{prefix}qkv")
    writer.norm(f"{prefix}attn_norm")
    writer.project(f"{prefix}qkv", norm=f"{prefix}attn_norm", fraction=FRACTION)
    writer.load_exponents(f"{prefix}attn_output")
    write_attention(writer, layer, caches)
    writer.accumulate(f"{prefix}attn_output", fraction=FRACTION)
    writer.load_gains(f"{prefix}ffn_norm")
    writer.load_exponents(f"{prefix}gate_up")
    writer.norm(f"{prefix}ffn_norm")
    writer.project(f"{prefix}gate_up", norm=f"{prefix}ffn_norm", fraction=FRACTION)
    writer.load_exponents(f"{prefix}ffn_down")
    _gate(writer)
    writer.accumulate(f"{prefix}ffn_down", fraction=2 * FRACTION)


def write_head(writer: Writer) -> None:
    """Write what is behind the last layer, up to the largest logits."""
    writer.load_gains("output_norm")
    writer.load_exponents("head", 0)
    writer.norm("output_norm")
    writer.choose("head", norm="output_norm", fraction=LOGIT_FRACTION)


def write_embedding(writer: Writer) -> None:
    """Make the residual from a row of the embedding; load the rotary tables of the position."""
    matrix, vectors = writer.tables.matrices["embedding"], writer.vectors
    row_bytes = writer.row_bytes
    head_bytes = W8.head_beats(sums=matrix.sums) * row_bytes
    # Regions that nothing else needs before the first layer.
    codes, mantissas, exponent = vectors.work, writer.exponents, vectors.scores
    writer.add(
        Opcode.LOAD,
        target=codes,
        size=1,
        nibbles=1,
        count=matrix.inputs,
        address=matrix.address + head_bytes,
        index=Index.TOKEN,
        shift=row_bytes.bit_length() - 1,
        stride_high=matrix.tile_bytes,
        stride_low=1,
        inner=BLOCK,
        inner_stride=row_bytes,
        outer_stride=head_bytes + BLOCK * row_bytes,
    )
    groups = -(-matrix.inputs // BLOCK)
    writer.load(mantissas, writer.tables.mantissas, groups, index=Index.TOKEN)
    writer.load(exponent, matrix.exponents, 1, index=Index.TOKEN)
    writer.add(
        Opcode.EMBED,
        a=codes,
        b=mantissas,
        c=exponent,
        target=vectors.residual,
        count=matrix.inputs,
        constant=writer.model.residual_fraction,
    )
    pairs = writer.model.config.head_width // 2
    writer.load(vectors.cosines, writer.tables.cosines, pairs, size=2, index=Index.POSITION)
    writer.load(vectors.sines, writer.tables.sines, pairs, size=2, index=Index.POSITION)


def _gate(writer: Writer) -> None:
    work, count = writer.vectors.work, writer.model.config.ffn_width
    writer.add(Opcode.GATE, a=work, b=work + count, count=count)
