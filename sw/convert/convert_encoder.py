"""From an encoder's checkpoint to a converted encoder."""

from __future__ import annotations

import numpy as np

from hw.spec.codes import DEFAULT_TABLE
from sw.convert.container import Quantizer
from sw.convert.defaults import default_quantizers
from sw.convert.encoder import ConvertedEncoder, fixed_point
from sw.convert.weights import convert_matrix, convert_norm
from sw.load.checkpoint import EncoderCheckpoint, QuantizedTensor

#: Fraction bits of the words between the layers. A 24-bit word then reaches 2047.
RESIDUAL_FRACTION = 12

#: Most fraction bits of biases of q, k, v, up and of the logits.
_FRACTION = 12

#: Converted matrix of a layer: the checkpoint's tensors that read the same vector.
PARTS = {
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "ffn_up": ("ffn_up",),
    "ffn_down": ("ffn_down",),
}
_RESIDUAL = ("attn_output", "ffn_down")
_NORMS = {"attn_norm": "attn_output_norm", "ffn_norm": "layer_output_norm"}


def convert_encoder(checkpoint: EncoderCheckpoint, *, table: str | None = None) -> ConvertedEncoder:
    """Convert a checkpoint with the quantizers it was trained with, or the shipped ones.

    Parameters
    ----------
    checkpoint : EncoderCheckpoint
        What a loader returned. Float matrices become 8-bit ones.
    table : str, optional
        Code table that the model uses by default; that of the training if absent.
    """
    config, tensors = checkpoint.config, checkpoint.tensors

    def array(name: str) -> np.ndarray:
        tensor = tensors[name]
        return tensor.dequantize() if isinstance(tensor, QuantizedTensor) else np.asarray(tensor)

    matrices = {"embedding": convert_matrix([array("token_embd.weight")])}
    norms = {"embedding_norm": convert_norm(array("token_embd_norm.weight"))}
    betas = {"embedding_norm": fixed_point(array("token_embd_norm.bias"), RESIDUAL_FRACTION)}
    biases = {}
    for n in range(config.layers):
        for name, parts in PARTS.items():
            matrix = f"layers.{n}.{name}"
            matrices[matrix] = convert_matrix([tensors[f"blk.{n}.{p}.weight"] for p in parts])
            bias = np.concatenate([array(f"blk.{n}.{part}.bias") for part in parts])
            biases[matrix] = fixed_point(bias, _most(name))
        for name, source in _NORMS.items():
            norms[f"layers.{n}.{name}"] = convert_norm(array(f"blk.{n}.{source}.weight"))
            beta = array(f"blk.{n}.{source}.bias")
            betas[f"layers.{n}.{name}"] = fixed_point(beta, RESIDUAL_FRACTION)
    if config.labels:
        matrices["head"] = convert_matrix([array("cls.weight")])
        biases["head"] = fixed_point(array("cls.bias"), _FRACTION)
    positions = array("position_embd.weight") + array("token_types.weight")[0]
    return ConvertedEncoder(
        name=checkpoint.name,
        config=config,
        matrices=matrices,
        biases=biases,
        norms=norms,
        betas=betas,
        positions=fixed_point(positions, RESIDUAL_FRACTION),
        residual_fraction=RESIDUAL_FRACTION,
        table=table or checkpoint.training.get("table", DEFAULT_TABLE),
        quantizers=trained_quantizers(checkpoint),
        tokenizer_spec=checkpoint.tokenizer_spec,
        source={"name": checkpoint.name, "sha256": checkpoint.sha256},
    )


def trained_quantizers(checkpoint: EncoderCheckpoint) -> dict[str, dict[str, Quantizer]]:
    """Quantizers that were in the loop of the training, or else the shipped ones."""
    defaults = default_quantizers(checkpoint.config.layers)
    trained = checkpoint.training.get("quantizers", {})
    return {
        tensor: {
            name: _quantizer(trained[tensor][name]) if name in trained.get(tensor, {}) else shipped
            for name, shipped in tables.items()
        }
        for tensor, tables in defaults.items()
    }


def _quantizer(fields: list[int]) -> Quantizer:
    constant, threshold, silent_level = fields
    return Quantizer(constant=constant, threshold=threshold, silent_level=silent_level)


def _most(matrix: str) -> int:
    return RESIDUAL_FRACTION if matrix in _RESIDUAL else _FRACTION
