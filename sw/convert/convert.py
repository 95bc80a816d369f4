"""From a checkpoint to a converted model, with a report of what each tensor became."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import DEFAULT_TABLE
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.convert.defaults import default_quantizers
from sw.convert.encoder import ConvertedEncoder
from sw.convert.weights import convert_matrix, convert_norm, rope_table
from sw.errors import UserError
from sw.load.checkpoint import Checkpoint, QuantizedTensor

#: Fraction bits of the residual. A 24-bit word then reaches 32767: SmolLM2 needs 24380.
RESIDUAL_FRACTION = 8

#: Converted matrix of a layer: the checkpoint's tensors that read the same vector.
PARTS = {
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "ffn_down": ("ffn_down",),
}


def convert(checkpoint: Checkpoint, *, table: str = DEFAULT_TABLE) -> ConvertedModel:
    """Convert a checkpoint with the shipped quantizers.

    Parameters
    ----------
    checkpoint : Checkpoint
        What a loader returned.
    table : str
        Code table that the model uses by default.

    Raises
    ------
    UserError
        If the model's shape is outside what the arithmetic's widths allow.
    """
    config, tensors = checkpoint.config, checkpoint.tensors
    if config.head_width % 2 or config.width > 65536:
        raise UserError(
            f"{checkpoint.name}: heads of {config.head_width} and width {config.width} are not "
            "supported; heads must be even and the width at most 65536"
        )
    matrices = {"embedding": convert_matrix([_float_unless_q8(tensors["token_embd.weight"])])}
    if not config.tied_head:
        matrices["head"] = convert_matrix([tensors["output.weight"]])
    norms = {"output_norm": convert_norm(np.asarray(tensors["output_norm.weight"]))}
    for n in range(config.layers):
        for name, parts in PARTS.items():
            matrices[f"layers.{n}.{name}"] = convert_matrix(
                [tensors[f"blk.{n}.{part}.weight"] for part in parts]
            )
        for name in ("attn_norm", "ffn_norm"):
            gamma = np.asarray(tensors[f"blk.{n}.{name}.weight"])
            norms[f"layers.{n}.{name}"] = convert_norm(gamma)
    return ConvertedModel(
        name=checkpoint.name,
        config=config,
        matrices=matrices,
        norms=norms,
        rope=rope_table(config),
        residual_fraction=RESIDUAL_FRACTION,
        table=table,
        quantizers=default_quantizers(config.layers),
        tokenizer_spec=checkpoint.tokenizer_spec,
        source={"name": checkpoint.name, "sha256": checkpoint.sha256},
    )


def _float_unless_q8(tensor: QuantizedTensor | np.ndarray) -> QuantizedTensor | np.ndarray:
    """Embeddings are always 8-bit: a 4-bit one is expanded."""
    if isinstance(tensor, QuantizedTensor) and tensor.kind != "Q8_0":
        return tensor.dequantize()
    return tensor


def describe(model: ConvertedModel | ConvertedEncoder) -> list[tuple[str, str, str, float, str]]:
    """Rows of a table: name, shape, format, bits per weight, scales of each tensor."""
    return [
        (
            name,
            f"{matrix.rows} x {matrix.inputs}",
            matrix.format.name,
            8 * stored_bytes(matrix) / (matrix.rows * matrix.inputs),
            "d and b" if matrix.b.any() else "d",
        )
        for name, matrix in model.matrices.items()
    ]


def stored_bytes(matrix: WeightMatrix) -> int:
    """Bytes of codes, mantissas and offsets in synapse memory, padding and exponents excluded."""
    bits = 4 if matrix.format.name == "w4" else 8
    offsets = matrix.b.size if matrix.format.name == "w4" else 0
    return matrix.codes.size * bits // 8 + matrix.d.size + offsets
