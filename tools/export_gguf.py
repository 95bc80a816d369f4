"""Write a model in float as GGUF: linear layers in Q4_1, the embedding in Q8_0, gains in F32.

Scales and offsets are rounded as the hardware stores them, which half precision holds exactly:
the file, the fake-quantized model and the converted model have the same weights.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from sw.golden.fake_weights import EIGHT_BIT, quantize_q4_1, quantize_q8_0
from sw.golden.float_model import FloatLlama

_NORMAL, _CONTROL = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL


def _half(x: torch.Tensor) -> np.ndarray:
    half = x.numpy().astype("<f2")
    if not np.array_equal(half.astype(np.float32), x.numpy()):
        raise ValueError(
            "wanted scales that half precision holds exactly; some weight is too small"
        )
    return half.view(np.uint8)


def pack(w: torch.Tensor, name: str) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
    """Return the bytes of a matrix, shape (rows, bytes), and their type."""
    if name in EIGHT_BIT:
        codes, scale = quantize_q8_0(w)
        fields = [_half(scale), codes.numpy().astype(np.int8).view(np.uint8)]
        kind = gguf.GGMLQuantizationType.Q8_0
    else:
        codes, scale, offset = quantize_q4_1(w)
        nibbles = (codes + 8).numpy().astype(np.uint8)
        packed = nibbles[..., :16] | nibbles[..., 16:] << 4
        fields = [_half(scale), _half(offset - 8 * scale), packed]
        kind = gguf.GGMLQuantizationType.Q4_1
    return np.concatenate(fields, axis=-1).reshape(w.shape[0], -1), kind


def _add_shape(writer: gguf.GGUFWriter, model: FloatLlama) -> None:
    config = model.config
    if not config.rope_interleaved:
        raise ValueError("wanted interleaved rotary pairs, as GGUF files of this kind have them")
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn_width)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_width)
    writer.add_value_length(config.head_width)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_vocab_size(config.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, end: str) -> None:
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if token == end else _NORMAL for token in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(tokens.index(end))
    writer.add_eos_token_id(tokens.index(end))
    writer.add_add_bos_token(False)


def export_gguf(
    path: Path, model: FloatLlama, tokenizer: Tokenizer, *, end: str, about: dict[str, str]
) -> None:
    """Write the file atomically.

    Parameters
    ----------
    path : Path
        The file to write; the same model gives the same bytes.
    model : FloatLlama
        Model with interleaved rotary pairs.
    tokenizer : Tokenizer
        Byte-level BPE in the manner of GPT-2.
    end : str
        Control token that begins and ends a text.
    about : dict
        ``name``, ``license`` and ``description`` for people.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    writer = gguf.GGUFWriter(unfinished, "llama")
    writer.add_name(about["name"])
    writer.add_license(about["license"])
    writer.add_description(about["description"])
    _add_shape(writer, model)
    _add_tokenizer(writer, tokenizer, end)
    for name, parameter in model.state_dict().items():
        w = parameter.detach()
        if w.dim() == 2:
            data, kind = pack(w, name)
            writer.add_tensor(name, data, raw_dtype=kind)
        else:
            writer.add_tensor(name, w.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(unfinished, path)
