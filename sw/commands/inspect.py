"""`firstspike inspect`: what a model holds."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sw.commands import options
from sw.convert.container import ConvertedModel
from sw.convert.convert import describe, stored_bytes
from sw.convert.encoder import ConvertedEncoder
from sw.opening import open_converted_encoder, open_model


def command(model: options.Model = None) -> None:
    """Print shape, quantizers and matrices of a model."""
    console = Console()
    encoder = open_converted_encoder(model)
    if encoder is not None:
        _print_encoder(encoder, console)
        return
    converted = open_model(model)
    config = converted.config
    console.print(
        f"{converted.name}: {config.layers} layers, width {config.width}, {config.heads} heads of "
        f"{config.head_width} ({config.kv_heads} of keys and values), feed-forward "
        f"{config.ffn_width}, vocabulary {config.vocabulary}, context {config.context}"
    )
    console.print(f"source {converted.source}")
    console.print(f"code table {converted.table}")
    console.print(matrix_table(converted))
    console.print(quantizer_table(converted))
    total = sum(stored_bytes(matrix) for matrix in converted.matrices.values())
    cache = 2 * config.layers * config.context * config.kv_heads * (config.head_width + 2)
    console.print(f"{total:,} bytes of weights and scales, {cache:,} of key and value cache")


def _print_encoder(encoder: ConvertedEncoder, console: Console) -> None:
    config = encoder.config
    head = f"{config.labels} classes" if config.labels else "no head"
    console.print(
        f"{encoder.name}: encoder, {config.layers} layers, width {config.width}, {config.heads} "
        f"heads of {config.head_width}, feed-forward {config.ffn_width}, vocabulary "
        f"{config.vocabulary}, {config.context} positions, {config.pooling} pooling, {head}"
    )
    console.print(f"source {encoder.source}")
    console.print(f"code table {encoder.table}")
    console.print(matrix_table(encoder))
    console.print(quantizer_table(encoder))
    total = sum(stored_bytes(matrix) for matrix in encoder.matrices.values())
    console.print(f"{total:,} bytes of weights and scales")


def matrix_table(model: ConvertedModel | ConvertedEncoder) -> Table:
    """Table of what each matrix became."""
    table = Table(title="matrices")
    for column in ("matrix", "shape", "format", "bits a weight", "per group"):
        table.add_column(column, justify="right" if column == "bits a weight" else "left")
    for name, shape, kind, bits, scales in describe(model):
        table.add_row(name, shape, kind, f"{bits:.2f}", scales)
    return table


def quantizer_table(model: ConvertedModel | ConvertedEncoder) -> Table:
    """Table of the quantizers of the model's code table."""
    table = Table(title=f"quantizers ({model.table})")
    for column in ("tensor", "constant", "threshold", "silent level"):
        table.add_column(column, justify="left" if column == "tensor" else "right")
    for tensor, tables in model.quantizers.items():
        quantizer = tables[model.table]
        table.add_row(
            tensor,
            str(quantizer.constant),
            f"{quantizer.threshold / 8:g}",
            str(quantizer.silent_level),
        )
    return table
