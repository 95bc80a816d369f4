"""Weights as the hardware stores them: groups of 32 codes whose scales are 8-bit mantissas.

Scales and offsets of one output row share a power of two, so a GGUF file can hold them exactly.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sw.convert.container import ConvertedModel, WeightMatrix
from sw.load.checkpoint import GROUP, Checkpoint, QuantizedTensor

#: Largest mantissa of a scale or an offset.
LARGEST_MANTISSA = 127

#: Checkpoint's tensors in the rows of a layer's converted matrices.
PARTS = {
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "attn_output": ("attn_output",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "ffn_up": ("ffn_up",),
    "ffn_down": ("ffn_down",),
}

#: Tensors whose codes have 8 bits.
EIGHT_BIT = ("token_embd.weight", "output.weight")


def row_unit(*parts: Tensor) -> Tensor:
    """Power of two of each row in which every part rounds to a signed 8-bit mantissa.

    Parameters
    ----------
    *parts : Tensor
        Scales or offsets, shape (rows, groups).

    Returns
    -------
    Tensor
        Shape (rows, 1).
    """
    largest = torch.cat(parts, -1).abs().amax(-1, keepdim=True)
    exponent = torch.frexp(largest / (LARGEST_MANTISSA + 0.5)).exponent
    return torch.ldexp(torch.ones_like(largest), exponent)


def quantize_q4_1(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize a matrix to ``scale * code + offset``.

    Parameters
    ----------
    w : Tensor
        float32, shape (rows, inputs), inputs a multiple of 32.

    Returns
    -------
    codes : Tensor
        float32, shape (rows, groups, 32), integers -8..7.
    scale, offset : Tensor
        float32, shape (rows, groups, 1): 8-bit mantissas in the row's unit.
    """
    groups = w.unflatten(-1, (-1, GROUP))
    least, most = groups.aminmax(dim=-1)
    scale = (most - least) / 15
    offset = least + 8 * scale
    unit = row_unit(scale, offset)
    scale = ((scale / unit).round() * unit).unsqueeze(-1)
    offset = ((offset / unit).round() * unit).unsqueeze(-1)
    codes = torch.where(scale > 0, (groups - offset) / scale, 0.0).round().clamp(-8, 7)
    return codes, scale, offset


def quantize_q8_0(w: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize a matrix to ``scale * code``, codes -127..127; shapes as in `quantize_q4_1`."""
    groups = w.unflatten(-1, (-1, GROUP))
    scale = groups.abs().amax(-1) / 127
    unit = row_unit(scale)
    mantissa = (scale / unit).ceil().clamp_max(LARGEST_MANTISSA)
    scale = (mantissa * unit).unsqueeze(-1)
    return torch.where(scale > 0, groups / scale, 0.0).round().clamp(-127, 127), scale


def eight_bit_weight(w: Tensor) -> Tensor:
    """Quantize and dequantize a matrix with `quantize_q8_0`."""
    codes, scale = quantize_q8_0(w)
    return (codes * scale).flatten(-2)


def fake_weight(w: Tensor, name: str) -> Tensor:
    """Quantize and dequantize a matrix: Q8_0 for embedding and head, else Q4_1."""
    if name in EIGHT_BIT:
        return eight_bit_weight(w)
    codes, scale, offset = quantize_q4_1(w)
    return (codes * scale + offset).flatten(-2)


def stored_weight(tensor: QuantizedTensor) -> Tensor:
    """Dequantize a file's tensor, its codes kept, its scales and offsets rounded to mantissas."""
    scale, offset = torch.from_numpy(tensor.scale), torch.from_numpy(tensor.offset)
    unit = row_unit(scale, offset)
    scale, offset = ((part / unit).round() * unit for part in (scale, offset))
    codes = torch.from_numpy(tensor.codes).float().unflatten(-1, (-1, GROUP))
    return (codes * scale[..., None] + offset[..., None]).flatten(-2)


def matrix_values(matrix: WeightMatrix) -> Tensor:
    """Weights that a converted matrix stands for, float32, shape (rows, inputs)."""
    d, b = (
        part.repeat(GROUP, 1)[:, : matrix.inputs].astype(np.float64)
        for part in (matrix.d, matrix.b)
    )
    exponent = matrix.exponent[:, None].astype(np.int64)
    return torch.from_numpy(np.ldexp(d * matrix.codes + b, exponent).astype(np.float32))


def chosen_weights(model: ConvertedModel, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Weights, by GGUF name, of the float matrices to which conversion gave 4 bits."""
    weights = {}
    for name, matrix in model.matrices.items():
        if matrix.format.name != "w4":
            continue
        _, layer, kind = name.split(".")
        names = [f"blk.{layer}.{part}.weight" for part in PARTS[kind]]
        rows = [checkpoint.tensors[part].shape[0] for part in names]
        for part, values in zip(names, matrix_values(matrix).split(rows), strict=True):
            if not isinstance(checkpoint.tensors[part], QuantizedTensor):
                weights[part] = values
    return weights
