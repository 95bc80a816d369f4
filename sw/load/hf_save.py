"""Writes a trained encoder as one safetensors file that holds its configuration too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from sw.convert.container import write_whole
from sw.load.encoder_config import EncoderConfig
from sw.load.hf import hf_name
from sw.load.hf_files import METADATA

_POOLINGS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}


def save_encoder(
    path: Path,
    *,
    config: EncoderConfig,
    tensors: Mapping[str, np.ndarray],
    tokenizer_json: str,
    training: dict,
) -> None:
    """Write a checkpoint that :func:`sw.load.hf.load_huggingface` reads.

    Tensors have their names of Hugging Face files; the metadata holds the texts of
    ``config.json``, ``tokenizer.json``, ``1_Pooling/config.json`` and ``training.json``.

    Parameters
    ----------
    path : pathlib.Path
        File to write; it appears whole or not at all.
    config : BertConfig
        Shape and constants.
    tensors : mapping of str to numpy.ndarray
        float32 arrays by GGUF name.
    tokenizer_json : str
        Text of the tokenizer.
    training : dict
        How the model was trained.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    texts = {
        "config.json": json.dumps(bert_config_json(config), indent=2),
        "1_Pooling/config.json": json.dumps({_POOLINGS[config.pooling]: True}),
        "tokenizer.json": tokenizer_json,
        "training.json": json.dumps(training, sort_keys=True),
    }
    named = {
        hf_name(name): np.ascontiguousarray(tensor, dtype=np.float32)
        for name, tensor in tensors.items()
    }
    write_whole(path, save(named, metadata={METADATA: json.dumps(texts, sort_keys=True)}))


def bert_config_json(config: EncoderConfig) -> dict:
    """Content of ``config.json``."""
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "layer_norm_eps": config.norm_epsilon,
        "max_position_embeddings": config.context,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_labels": config.labels,
        "position_embedding_type": "absolute",
        "type_vocab_size": 1,
        "vocab_size": config.vocabulary,
    }
