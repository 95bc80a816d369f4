"""Small model files, written with the reference library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import pre_tokenizers

WIDTH, FFN_WIDTH, HEADS, KV_HEADS, LAYERS = 96, 160, 3, 1, 2
HEAD_WIDTH = WIDTH // HEADS
MERGES = ["Ġ t", "h e", "Ġt he", "1 2", "i n"]
CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture
def spec() -> dict:
    """Tokenizer of 256 bytes, five merges and two control tokens."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens += [merge.replace(" ", "") for merge in MERGES] + ["<|start|>", "<|end|>"]
    return {
        "tokens": tokens,
        "merges": list(MERGES),
        "token_types": [1] * (len(tokens) - 2) + [3, 3],
        "pre": "smollm",
        "bos": len(tokens) - 2,
        "eos": len(tokens) - 1,
        "add_bos": False,
        "chat_template": CHAT,
    }


@pytest.fixture
def write_model(tmp_path: Path, spec: dict) -> Callable[..., Path]:
    """Write a model; keyword arguments change what is in it."""

    def write(
        *,
        kind: str = "Q4_1",
        architecture: str = "llama",
        metadata: dict | None = None,
        tensors: dict | None = None,
        tied: bool = True,
        seed: int = 20,
    ) -> Path:
        path = tmp_path / "model.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        for key, value in (_metadata(spec) | (metadata or {})).items():
            _add(writer, key, value)
        floats = _tensors(len(spec["tokens"]), tied=tied, seed=seed)
        for name, values in (floats | (tensors or {})).items():
            if values is None:
                continue
            chosen = kind if values.ndim == 2 else "F32"
            if isinstance(values, Typed):
                chosen = values.kind
            _add_tensor(writer, name, np.asarray(values), gguf.GGMLQuantizationType[chosen])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


class Typed(np.ndarray):
    """An array that is to be stored in a type of its own."""

    kind: str

    @classmethod
    def of(cls, kind: str, values: np.ndarray) -> Typed:
        """Mark an array."""
        typed = values.view(cls)
        typed.kind = kind
        return typed


@pytest.fixture
def typed() -> Callable[[str, np.ndarray], Typed]:
    """Mark an array with the type to store it in."""
    return Typed.of


def _metadata(spec: dict) -> dict:
    return {
        "general.name": "Tiny",
        "llama.block_count": LAYERS,
        "llama.context_length": 77,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": FFN_WIDTH,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 5000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": spec["pre"],
        "tokenizer.ggml.tokens": spec["tokens"],
        "tokenizer.ggml.merges": spec["merges"],
        "tokenizer.ggml.token_type": spec["token_types"],
        "tokenizer.ggml.bos_token_id": spec["bos"],
        "tokenizer.ggml.eos_token_id": spec["eos"],
        "tokenizer.ggml.add_bos_token": spec["add_bos"],
        "tokenizer.chat_template": spec["chat_template"],
    }


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    match value:
        case None:
            return
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def _tensors(vocabulary: int, *, tied: bool, seed: int) -> dict[str, np.ndarray]:
    queries, keys = HEADS * HEAD_WIDTH, KV_HEADS * HEAD_WIDTH
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (vocabulary, WIDTH)}
    for n in range(LAYERS):
        shapes |= {
            f"blk.{n}.attn_norm": (WIDTH,),
            f"blk.{n}.attn_q": (queries, WIDTH),
            f"blk.{n}.attn_k": (keys, WIDTH),
            f"blk.{n}.attn_v": (keys, WIDTH),
            f"blk.{n}.attn_output": (WIDTH, queries),
            f"blk.{n}.ffn_norm": (WIDTH,),
            f"blk.{n}.ffn_gate": (FFN_WIDTH, WIDTH),
            f"blk.{n}.ffn_up": (FFN_WIDTH, WIDTH),
            f"blk.{n}.ffn_down": (WIDTH, FFN_WIDTH),
        }
    shapes["output_norm"] = (WIDTH,)
    if not tied:
        shapes["output"] = (vocabulary, WIDTH)
    random = np.random.default_rng(seed)
    return {
        f"{name}.weight": random.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def _add_tensor(
    writer: gguf.GGUFWriter, name: str, values: np.ndarray, kind: gguf.GGMLQuantizationType
) -> None:
    if values.dtype == np.uint8:  # raw blocks
        writer.add_tensor(name, values, raw_dtype=kind)
    elif kind.name in ("F16", "F32"):
        writer.add_tensor(name, values.astype(np.float16 if kind.name == "F16" else np.float32))
    else:
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
