"""Loads Hugging Face models of the Llama and BERT families from safetensors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from sw.errors import UserError
from sw.load.checkpoint import (
    Checkpoint,
    EncoderCheckpoint,
    LlamaConfig,
    QuantizedTensor,
    encoder_shapes,
    llama_shapes,
)
from sw.load.encoder_config import EncoderConfig
from sw.load.hf_files import ModelFiles
from sw.load.tokenizer import Tokenizer

_LLAMA_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LLAMA = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BERT_LAYER = {
    "attn_q": "attention.self.query",
    "attn_k": "attention.self.key",
    "attn_v": "attention.self.value",
    "attn_output": "attention.output.dense",
    "attn_output_norm": "attention.output.LayerNorm",
    "ffn_up": "intermediate.dense",
    "ffn_down": "output.dense",
    "layer_output_norm": "output.LayerNorm",
}
_BERT = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
    "cls": "classifier",
}

#: Ends of the names of tensors that may be in a file and are not read.
_IGNORED = ("rotary_emb.inv_freq", "position_ids", "pooler.dense.weight", "pooler.dense.bias")

_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def load_huggingface(path: str | Path) -> Checkpoint | EncoderCheckpoint:
    """Load a decoder of the Llama family or an encoder of the BERT family.

    Parameters
    ----------
    path : str or pathlib.Path
        A folder with ``config.json``, ``tokenizer.json`` (BERT: or ``vocab.txt``) and
        ``model.safetensors`` or shards with their index; or a file of `firstspike train`.

    Returns
    -------
    Checkpoint or EncoderCheckpoint
        All tensors in float32. Rotary pairs of a decoder are (i, i + half), as in such files.

    Raises
    ------
    UserError
        If a file is missing, the architecture is not supported, or a tensor has another shape.
    """
    files = ModelFiles(Path(path))
    kind = files.config.get("model_type")
    if kind == "llama":
        return _decoder(files)
    if kind == "bert":
        return _encoder(files)
    nearest = "llama" if {"rms_norm_eps", "rope_theta"} & files.config.keys() else "bert"
    raise UserError(
        f"{path} is a model of architecture {kind}, which is not supported: the nearest that is "
        f"supported is {nearest} (of llama and bert)."
    )


def is_encoder(path: Path) -> bool:
    """Tell whether the configuration of a Hugging Face model is that of an encoder."""
    return ModelFiles(path).config.get("model_type") == "bert"


def hf_name(name: str) -> str:
    """Name of an encoder's tensor in Hugging Face files, by its GGUF name."""
    *prefix, tensor, part = name.split(".")
    if prefix:
        return f"encoder.layer.{prefix[1]}.{_BERT_LAYER[tensor]}.{part}"
    return f"{_BERT[tensor]}.{part}"


def _llama_name(name: str) -> str:
    *prefix, tensor, part = name.split(".")
    if prefix:
        return f"model.layers.{prefix[1]}.{_LLAMA_LAYER[tensor]}.{part}"
    return f"{_LLAMA[tensor]}.{part}"


def _decoder(files: ModelFiles) -> Checkpoint:
    config = _llama_config(files)
    shapes = llama_shapes(config)
    names = {name: _llama_name(name) for name in shapes}
    tied_copy = ["lm_head.weight"] if config.tied_head else []
    _refuse_foreign(files, [*names.values(), *tied_copy])
    spec = files.tokenizer_spec()
    return Checkpoint(
        name=files.path.resolve().stem,
        config=config,
        tensors={name: files.tensor(names[name], shape) for name, shape in shapes.items()},
        tokenizer=Tokenizer.from_spec(spec),
        tokenizer_spec=spec,
        sha256=files.sha256(),
    )


def _llama_config(files: ModelFiles) -> LlamaConfig:
    get = files.config.get
    width, heads = _size(files, "hidden_size"), _size(files, "num_attention_heads")
    kv_heads = _size(files, "num_key_value_heads", heads)
    head_width = _size(files, "head_dim", max(width // heads, 1))
    rope = get("rope_scaling") or get("rope_parameters") or {}
    theta, epsilon = _number(files, "rope_theta", rope.get("rope_theta", 1e4)), get("rms_norm_eps")
    scaled = rope.get("rope_type", rope.get("type", "default")) != "default"
    _refuse(
        files,
        (scaled, "its rotary frequencies are scaled (rope_scaling)"),
        (get("attention_bias") or get("mlp_bias"), "its linear layers have biases"),
        (get("hidden_act", "silu") != "silu", f"its activation is {get('hidden_act')}, not silu"),
        (heads % kv_heads, f"{heads} heads do not share {kv_heads} key-value heads evenly"),
        (head_width % 2, f"the head width {head_width} is odd"),
        (not 0 < theta < math.inf, f"the rotary base is {theta}"),
    )
    tied = bool(get("tie_word_embeddings", False))
    return LlamaConfig(
        layers=_size(files, "num_hidden_layers"),
        width=width,
        ffn_width=_size(files, "intermediate_size"),
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        vocabulary=_size(files, "vocab_size"),
        context=_size(files, "max_position_embeddings", 2048),
        rope_theta=theta,
        rope_interleaved=False,
        norm_epsilon=_number(files, "rms_norm_eps", epsilon or 1e-6),
        tied_head=tied or "lm_head.weight" not in files.names,
    )


def _encoder(files: ModelFiles) -> EncoderCheckpoint:
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in files.names else ""
    labels = 0
    if "classifier.bias" in files.names:
        labels = files.config.get("num_labels", len(files.config.get("id2label", (0, 1))))
    config = _bert_config(files, labels)
    shapes = encoder_shapes(config)
    names = {
        name: hf_name(name) if name.startswith("cls.") else prefix + hf_name(name)
        for name in shapes
    }
    types = "token_types.weight"
    segments = _size(files, "type_vocab_size", 2)
    tensors: dict[str, QuantizedTensor | np.ndarray] = {
        name: files.tensor(names[name], (segments, *shape[1:]) if name == types else shape)
        for name, shape in shapes.items()
    }
    tensors[types] = np.asarray(tensors[types])[:1]
    spec = files.tokenizer_spec()
    return EncoderCheckpoint(
        name=files.path.resolve().stem,
        config=config,
        tensors=tensors,
        tokenizer=Tokenizer.from_spec(spec),
        tokenizer_spec=spec,
        training=files.json("training.json", {}),
        sha256=files.sha256(),
    )


def _bert_config(files: ModelFiles, labels: int) -> EncoderConfig:
    get = files.config.get
    width, heads = _size(files, "hidden_size"), _size(files, "num_attention_heads")
    modes = files.json("1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    pooling = [name for key, name in _POOLINGS.items() if modes.get(key)]
    positions = get("position_embedding_type", "absolute")
    activation = get("hidden_act", "gelu")
    reads_pooler = "ForSequenceClassification" in str(get("architectures"))
    _refuse(
        files,
        (width % heads, f"width {width} is no multiple of {heads} heads"),
        (positions != "absolute", f"its positions are {positions}, not absolute"),
        (activation != "gelu", f"its activation is {activation}, not gelu (the exact one)"),
        (len(pooling) != 1, "its pooling is neither the mean of the tokens nor the first token"),
        (reads_pooler, "its head reads the tanh pooler; supported are mean and cls pooling"),
    )
    return EncoderConfig(
        layers=_size(files, "num_hidden_layers"),
        width=width,
        ffn_width=_size(files, "intermediate_size"),
        heads=heads,
        vocabulary=_size(files, "vocab_size"),
        context=_size(files, "max_position_embeddings"),
        labels=labels,
        pooling=pooling[0],
        norm_epsilon=_number(files, "layer_norm_eps", 1e-12),
    )


def _size(files: ModelFiles, key: str, default: int | None = None) -> int:
    value = files.config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(
            f"{files.path / 'config.json'} has {key} = {value} where a whole number of at least 1 "
            "is wanted."
        )
    return value


def _number(files: ModelFiles, key: str, default: float) -> float:
    value: Any = files.config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise UserError(f"{files.path / 'config.json'} has {key} = {value}: wanted is a number.")
    return float(value)


def _refuse(files: ModelFiles, *reasons: tuple[Any, str]) -> None:
    for wrong, what in reasons:
        if wrong:
            raise UserError(f"{files.path} is a model of an unsupported shape: {what}.")


def _refuse_foreign(files: ModelFiles, known: list[str]) -> None:
    foreign = [n for n in files.names if n not in set(known) and not n.endswith(_IGNORED)]
    if foreign:
        raise UserError(
            f"{files.path} holds {foreign[0]}, which a plain Llama model has not: biases, experts "
            "and the like are not supported."
        )
