"""Loads a Llama-family checkpoint from a GGUF file, its quantized codes as they are."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import gguf
import numpy as np

from sw.errors import UserError
from sw.load.blocks import SUPPORTED_TYPES, unpack
from sw.load.checkpoint import Checkpoint, LlamaConfig, QuantizedTensor, llama_shapes
from sw.load.metadata import GgufFile
from sw.load.tokenizer import Tokenizer

_NORMAL_TOKEN = 1


def load_gguf(path: str | Path) -> Checkpoint:
    """Load a checkpoint.

    Parameters
    ----------
    path : str or pathlib.Path
        A GGUF file of architecture ``llama`` with tensors in Q4_0, Q4_1, Q8_0, F16 or F32, a
        byte-level BPE tokenizer and no rope scaling.

    Returns
    -------
    Checkpoint
        The model exactly as the file holds it; floats become float32.

    Raises
    ------
    UserError
        If the file is not such a file; the message says what is wrong with it.
    """
    file = GgufFile(Path(path))
    architecture = file.get("general.architecture", str)
    if architecture != "llama":
        raise UserError(f"{path} is a model of architecture {architecture}: wanted is llama.")
    _refuse_rope_scaling(file)
    spec = _tokenizer_spec(file)
    config = _config(file, vocabulary=len(spec["tokens"]))
    shapes = llama_shapes(config)
    _check_names(file, shapes)
    return Checkpoint(
        name=file.get("general.name", str, file.path.stem),
        config=config,
        tensors={name: _tensor(file, name, shape) for name, shape in shapes.items()},
        tokenizer=Tokenizer.from_spec(spec),
        tokenizer_spec=spec,
        sha256=_sha256(file.path),
    )


def _refuse_rope_scaling(file: GgufFile) -> None:
    kind = file.get("llama.rope.scaling.type", str, "none")
    linear = file.get("llama.rope.scale_linear", float, 1.0)
    if kind != "none" or linear != 1.0 or "rope_freqs.weight" in file.tensors:
        raise UserError(
            f"{file.path} scales its rotary frequencies (rope scaling), which is not supported: "
            "take a model without it."
        )


def _tokenizer_spec(file: GgufFile) -> dict:
    model = file.get("tokenizer.ggml.model", str)
    if model != "gpt2":
        raise UserError(
            f"{file.path} has a tokenizer of model {model}: wanted is gpt2 (byte-level BPE)."
        )
    tokens = file.get("tokenizer.ggml.tokens", list)
    return {
        "tokens": tokens,
        "merges": file.get("tokenizer.ggml.merges", list),
        "token_types": file.get("tokenizer.ggml.token_type", list, [_NORMAL_TOKEN] * len(tokens)),
        "pre": file.get("tokenizer.ggml.pre", str, "default"),
        "bos": file.get("tokenizer.ggml.bos_token_id", int, None),
        "eos": file.get("tokenizer.ggml.eos_token_id", int, None),
        "add_bos": file.get("tokenizer.ggml.add_bos_token", bool, False),
        "chat_template": file.get("tokenizer.chat_template", str, None),
    }


def _config(file: GgufFile, *, vocabulary: int) -> LlamaConfig:
    def size(key: str, default: int | None = None) -> int:
        value = file.get(f"llama.{key}", int, ... if default is None else default)
        if value < 1:
            raise UserError(f"{file.path} has llama.{key} = {value} where at least 1 is wanted.")
        return value

    width, heads = size("embedding_length"), size("attention.head_count")
    kv_heads = size("attention.head_count_kv", heads)
    head_width = size("attention.key_length", max(width // heads, 1))
    value_width = size("attention.value_length", head_width)
    rotated = size("rope.dimension_count", head_width)
    stated = size("vocab_size", vocabulary)
    layers = size("block_count")
    theta = float(file.get("llama.rope.freq_base", float, 10000.0))
    epsilon = float(file.get("llama.attention.layer_norm_rms_epsilon", float))
    for fits, what in (
        (heads % kv_heads == 0, f"{heads} heads do not share {kv_heads} key-value heads evenly"),
        (head_width % 2 == 0, f"the head width {head_width} is odd"),
        (value_width == head_width, "keys and values differ in width"),
        (rotated == head_width, "only part of a head is rotated"),
        (stated == vocabulary, f"{vocabulary} tokens where llama.vocab_size is {stated}"),
        (layers <= len(file.tensors), f"{layers} layers of only {len(file.tensors)} tensors"),
        (0 < theta < math.inf, f"the rotary base is {theta}"),
        (0 <= epsilon < math.inf, f"the epsilon of the norm is {epsilon}"),
    ):
        if not fits:
            raise UserError(f"{file.path} is a model of an unsupported shape: {what}.")
    return LlamaConfig(
        layers=layers,
        width=width,
        ffn_width=size("feed_forward_length"),
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        vocabulary=vocabulary,
        context=size("context_length"),
        rope_theta=theta,
        rope_interleaved=True,
        norm_epsilon=epsilon,
        tied_head="output.weight" not in file.tensors,
    )


def _check_names(file: GgufFile, shapes: dict[str, tuple[int, ...]]) -> None:
    missing = [name for name in shapes if name not in file.tensors]
    if missing:
        raise UserError(f"{file.path} lacks {len(missing)} tensors, the first is {missing[0]}.")
    foreign = [name for name in file.tensors if name not in shapes]
    if foreign:
        raise UserError(
            f"{file.path} holds {foreign[0]}, which a plain Llama model has not: biases, experts "
            "and the like are not supported."
        )


def _tensor(file: GgufFile, name: str, shape: tuple[int, ...]) -> QuantizedTensor | np.ndarray:
    tensor: gguf.ReaderTensor = file.tensors[name]
    kind = tensor.tensor_type.name
    supported = SUPPORTED_TYPES if len(shape) == 2 else ("F16", "F32")
    if kind not in supported:
        raise UserError(
            f"{file.path} holds {name} in {kind}: supported are {', '.join(supported)}; "
            "quantize the model again, for example to Q4_1."
        )
    found = tuple(int(size) for size in reversed(tensor.shape))
    if found != shape:
        raise UserError(f"{file.path} holds {name} of shape {found} where {shape} is wanted.")
    try:
        return unpack(kind, tensor.data)
    except ValueError as error:
        raise UserError(f"{file.path} is damaged: {name} cannot be read, {error}.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
