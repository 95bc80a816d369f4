"""Instructions that multiply matrices of weights by all vectors of a program."""

from __future__ import annotations

from hw.spec.program import Drain, Opcode
from sw.compile.instructions import SCALED
from sw.compile.tables import Chunk
from sw.compile.writer import Writer
from sw.golden.integers import FRACTION, LOGIT_FRACTION


def project(writer: Writer, name: str, chunk: Chunk, *, norm: str, stride: int) -> None:
    """Multiply behind a norm, into the work region.

    Parameters
    ----------
    writer : Writer
        Takes the instruction.
    name, norm : str
        Matrix, and the norm before it.
    chunk : tuple of int
        Its rows; see :meth:`sw.compile.writer.Writer.chunks`.
    stride : int
        Words from one vector's results to those of the next.
    """
    first, _ = chunk
    _multiply(
        writer,
        name,
        chunk,
        drain=Drain.NORMED,
        b=writer.exponents(name) + first,
        target=writer.vectors.work + first,
        stride=stride,
        constant=writer.norm_constant(norm, FRACTION),
    )


def accumulate(writer: Writer, name: str, *, fraction: int) -> None:
    """Multiply vectors with so many fraction bits and add to the residuals (§11)."""
    for chunk in writer.chunks(name):
        first, _ = chunk
        residual = writer.vectors.residual + first
        _multiply(
            writer,
            name,
            chunk,
            drain=Drain.RESIDUAL,
            a=residual,
            b=writer.exponents(name) + first,
            target=residual,
            stride=writer.vectors.residual_stride,
            constant=SCALED + fraction - writer.model.residual_fraction,
        )


def choose(writer: Writer, norm: str) -> None:
    """Multiply the first vector by the head; the first of its row exponents are loaded."""
    chunks = writer.chunks("head")
    for number, chunk in enumerate(chunks):
        _multiply(
            writer,
            "head",
            chunk,
            vectors=1,
            drain=Drain.LOGITS,
            final=int(number + 1 == len(chunks)),
            b=writer.vectors.head_exponents[number % 2],
            constant=writer.norm_constant(norm, LOGIT_FRACTION),
        )
        if number + 1 < len(chunks):
            writer.load_chunk(number + 1)


def _multiply(writer: Writer, name: str, chunk: Chunk, **operands: int) -> None:
    matrix, (first, count) = writer.tables.matrices[name], chunk
    tile = first // matrix.tile_rows
    operands.setdefault("vectors", writer.tokens)
    writer.add(
        Opcode.MATVEC,
        inputs=matrix.inputs,
        tiles=-(-count // matrix.tile_rows),
        weight_base=writer.beat(matrix.address + tile * matrix.tile_bytes),
        count=count,
        **writer.coding(name),
        **operands,
    )
