"""The order of the instructions of a token, or of several at once (``docs/arithmetic.md`` §12)."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.program import Opcode
from sw.compile.attention_program import first_rows, write_attention
from sw.compile.cache_layout import HeadCaches
from sw.compile.products import accumulate, choose, project
from sw.compile.writer import Writer
from sw.golden.integers import FRACTION

#: Norm and matrix behind the last layer.
HEAD = "output_norm", "head"


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
    write_rest(writer, caches)


def write_rest(writer: Writer, caches: Sequence[Sequence[HeadCaches]]) -> None:
    """Write everything from the residuals to the largest logits of the last token.

    Before the first product only that is loaded what it needs.
    """
    norm, matrix = first_of(0)
    writer.load_gains(norm)
    writer.load_exponents(matrix, first=first_rows(writer, matrix))
    for layer, heads in enumerate(caches):
        after = first_of(layer + 1) if layer + 1 < len(caches) else HEAD
        write_layer(writer, layer, heads, after=after, loads_late=layer == 0)
    write_head(writer)


def first_of(layer: int) -> tuple[str, str]:
    """Return the norm and matrix that a layer begins with."""
    return f"layers.{layer}.attn_norm", f"layers.{layer}.qkv"


def write_loads(writer: Writer, stage: tuple[str, str]) -> None:
    """Load what a norm and the matrix behind it need."""
    norm, matrix = stage
    writer.load_gains(norm)
    writer.load_exponents(matrix)


def write_layer(
    writer: Writer,
    layer: int,
    caches: Sequence[HeadCaches],
    *,
    after: tuple[str, str] | None = None,
    loads_late: bool = False,
) -> None:
    """Write a layer, from residuals to residuals; what it begins with is loaded.

    Parameters
    ----------
    writer : Writer
        Takes the instructions.
    layer : int
        Number of the layer.
    caches : sequence of HeadCaches
        The layer's, for each key head.
    after : tuple of str, optional
        Norm and matrix behind the layer, for which is loaded here.
    loads_late : bool
        What the first product of the layer does not need is not loaded so far.
    """
    prefix, config, vectors = f"layers.{layer}.", writer.model.config, writer.vectors
    norm, gate_up, down = (f"{prefix}{name}" for name in ("ffn_norm", "gate_up", "ffn_down"))
    writer.norm(*first_of(layer))
    write_attention(writer, layer, caches, loads_late=loads_late)
    accumulate(writer, f"{prefix}attn_output", fraction=FRACTION)

    writer.norm(norm, gate_up)
    for number, chunk in enumerate(writer.chunks(gate_up)):
        project(writer, gate_up, chunk, norm=norm, stride=vectors.hidden_stride)
        if number == 0:
            writer.load_exponents(down)
            if after:
                writer.load_gains(after[0])
    for token in range(writer.tokens):
        gate = vectors.work + token * vectors.hidden_stride
        count = config.ffn_width
        writer.add(Opcode.GATE, a=gate, b=gate + count, count=count, vector=token)
        writer.encode(down, token)
    accumulate(writer, down, fraction=2 * FRACTION)
    if after:
        writer.load_exponents(after[1])


def write_head(writer: Writer) -> None:
    """Write what is behind the last layer, up to the largest logits of the last token."""
    writer.norm(*HEAD, only=writer.tokens - 1)
    choose(writer, HEAD[0])


def write_embedding(writer: Writer, token: int = 0) -> None:
    """Make the residual of a token, of those that are made at once, from a row of the embedding."""
    matrix, vectors = writer.tables.matrices["embedding"], writer.vectors
    # Regions that nothing else needs before the first layer.
    codes, mantissas, exponent = vectors.work, vectors.work_exponents, vectors.rotary
    writer.load_embedding(codes, mantissas, exponent)
    writer.add(
        Opcode.EMBED,
        a=codes,
        b=mantissas,
        c=exponent,
        target=vectors.residual + token * vectors.residual_stride,
        count=matrix.inputs,
        constant=writer.model.residual_fraction,
    )
