"""A small model of the BERT family in Hugging Face's layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sw.load.checkpoint import EncoderCheckpoint, encoder_shapes
from sw.load.encoder_config import EncoderConfig
from sw.load.hf import hf_name
from sw.load.hf_files import word_piece
from sw.load.tokenizer import Tokenizer

WORDS = ["good", "bad", "film", "plot", "a", "the", "is", "not", "##ly", "##ness", ".", "!"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SMALL = EncoderConfig(
    layers=2,
    width=32,
    ffn_width=64,
    heads=2,
    vocabulary=len(VOCABULARY),
    context=16,
    labels=0,
    pooling="mean",
    norm_epsilon=1e-12,
)


def random_tensors(config: EncoderConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights of order 1 / sqrt(inputs), gains near 1, small biases; by GGUF name."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in encoder_shapes(config).items():
        if len(shape) == 2:
            values = rng.normal(size=shape) / shape[1] ** 0.5
        elif "norm.weight" in name:
            values = rng.uniform(0.6, 1.4, shape)
        else:
            values = rng.normal(size=shape) * 0.1
        tensors[name] = values.astype(np.float32)
    return tensors


def encoder_checkpoint(config: EncoderConfig = SMALL, seed: int = 0) -> EncoderCheckpoint:
    """Checkpoint of random weights."""
    spec = {"json": word_piece(VOCABULARY, lowercase=True), "bos": None, "eos": None}
    spec["chat_template"] = None
    return EncoderCheckpoint(
        name="small",
        config=config,
        tensors=random_tensors(config, seed),
        tokenizer=Tokenizer.from_spec(spec),
        tokenizer_spec=spec,
        training={},
        sha256="0",
    )


def write_bert(folder: Path, config: EncoderConfig = SMALL, **changes: object) -> Path:
    """Write a model's folder; keyword arguments change `config.json`."""
    folder.mkdir(exist_ok=True)
    content = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "layer_norm_eps": config.norm_epsilon,
        "max_position_embeddings": config.context,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "type_vocab_size": 2,
        "vocab_size": config.vocabulary,
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    tensors = {hf_name(name): value for name, value in random_tensors(config).items()}
    types = "embeddings.token_type_embeddings.weight"
    tensors[types] = np.concatenate([tensors[types], np.ones_like(tensors[types])])
    tensors["embeddings.position_ids"] = np.arange(config.context)[None]
    tensors["pooler.dense.weight"] = np.zeros((config.width, config.width), np.float32)
    save_file(tensors, folder / "model.safetensors")
    return folder
