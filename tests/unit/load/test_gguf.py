"""The loader against the reference dequantizer, and against broken files."""

from __future__ import annotations

import hashlib
import random

import gguf
import numpy as np
import pytest

from sw.errors import UserError
from sw.load.checkpoint import QuantizedTensor
from sw.load.gguf import load_gguf

LOWEST = {"Q4_0": -8, "Q4_1": -8, "Q8_0": -128}


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "F16", "F32"])
def test_tensors_equal_the_reference(write_model, kind):
    path = write_model(kind=kind)
    loaded = load_gguf(path).tensors
    for tensor in gguf.GGUFReader(path).tensors:
        wanted = gguf.dequantize(tensor.data, tensor.tensor_type)
        found = loaded[tensor.name]
        if isinstance(found, QuantizedTensor):
            assert found.kind == kind
            assert found.codes.dtype == np.int8
            assert LOWEST[kind] <= found.codes.min() and found.codes.max() <= -LOWEST[kind] - 1
            assert found.scale.shape == (found.shape[0], found.shape[1] // 32)
            found = found.dequantize()
        else:
            assert wanted.ndim == 1 or kind in ("F16", "F32")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)


def test_codes_are_those_of_the_file(write_model, typed):
    nibbles = np.arange(32) * 7 % 16
    packed = (nibbles[:16] | nibbles[16:] << 4).astype(np.uint8)
    head = np.array([0.5, -3.25], dtype=np.float16).view(np.uint8)
    block = np.concatenate([head, packed])
    rows = typed("Q4_1", np.tile(block, (32, 3)))
    tensor = load_gguf(write_model(tensors={"blk.1.attn_k.weight": rows})).tensors[
        "blk.1.attn_k.weight"
    ]
    np.testing.assert_array_equal(tensor.codes, np.tile(nibbles - 8, (32, 3)))
    assert (tensor.scale == 0.5).all() and (tensor.offset == -3.25 + 8 * 0.5).all()


def test_shape_name_and_hash(write_model, spec):
    path = write_model()
    checkpoint = load_gguf(path)
    config = checkpoint.config
    assert (config.layers, config.width, config.ffn_width) == (2, 96, 160)
    assert (config.heads, config.kv_heads, config.head_width) == (3, 1, 32)
    assert (config.vocabulary, config.context, config.rope_theta) == (263, 77, 5000.0)
    assert config.rope_interleaved and config.tied_head
    assert config.norm_epsilon == pytest.approx(1e-5)
    assert checkpoint.name == "Tiny"
    assert checkpoint.tokenizer_spec == spec
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_defaults_of_absent_metadata(write_model):
    square = np.ones((96, 96), dtype=np.float32)
    absent = {
        "general.name": None,
        "llama.attention.head_count_kv": None,
        "llama.rope.freq_base": None,
        "tokenizer.ggml.token_type": None,
        "tokenizer.ggml.bos_token_id": None,
        "tokenizer.chat_template": None,
    }
    keys = {f"blk.{n}.attn_{name}.weight": square for n in (0, 1) for name in "kv"}
    checkpoint = load_gguf(write_model(metadata=absent, tensors=keys))
    assert checkpoint.name == "model"
    assert checkpoint.config.kv_heads == 3
    assert checkpoint.config.rope_theta == 10000.0
    assert checkpoint.tokenizer.bos is None


def test_untied_head(write_model):
    checkpoint = load_gguf(write_model(tied=False))
    assert not checkpoint.config.tied_head
    assert checkpoint.tensors["output.weight"].shape == (263, 96)


def test_truncated_file(write_model):
    path = write_model()
    whole = path.read_bytes()
    last = gguf.GGUFReader(path).tensors[-1]
    end = last.data_offset + last.n_bytes
    for length in [0, 3, 4, 8, 23, end - 1, *random.Random(5).sample(range(end), 120)]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="truncated or damaged|not a GGUF file"):
            load_gguf(path)


def test_damaged_header_never_escapes(write_model):
    path = write_model()
    whole = path.read_bytes()
    header = gguf.GGUFReader(path).data_offset
    draw = random.Random(6)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[draw.randrange(header)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            load_gguf(path)
        except UserError:
            refused += 1
    assert refused > 50


def test_foreign_absent_and_folder(tmp_path):
    foreign = tmp_path / "picture.gguf"
    foreign.write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    with pytest.raises(UserError, match="not a GGUF file: it does not begin"):
        load_gguf(foreign)
    with pytest.raises(UserError, match="Cannot open .*No such file"):
        load_gguf(tmp_path / "absent.gguf")
    with pytest.raises(UserError, match="Cannot open .*directory"):
        load_gguf(tmp_path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama.block_count": None}, "lacks the metadata llama.block_count"),
        ({"llama.block_count": "two"}, "llama.block_count = two where a whole number is wanted"),
        ({"llama.block_count": 3}, "lacks 9 tensors, the first is blk.2.attn_norm.weight"),
        ({"llama.block_count": 1}, "holds blk.1.attn_norm.weight, which a plain Llama model"),
        ({"llama.block_count": 0}, "llama.block_count = 0 where at least 1 is wanted"),
        ({"llama.block_count": 1 << 31}, "2147483648 layers of only 20 tensors"),
        ({"llama.rope.freq_base": -1.0}, "the rotary base is -1.0"),
        ({"llama.attention.head_count_kv": 2}, "3 heads do not share 2 key-value heads"),
        ({"llama.attention.head_count_kv": [1, 1]}, "head_count_kv = .* whole number"),
        ({"llama.attention.value_length": 16}, "keys and values differ in width"),
        ({"llama.attention.key_length": 31}, "the head width 31 is odd"),
        ({"llama.rope.dimension_count": 16}, "only part of a head is rotated"),
        ({"llama.vocab_size": 264}, "263 tokens where llama.vocab_size is 264"),
        ({"llama.feed_forward_length": 128}, r"shape \(160, 96\) where \(128, 96\) is wanted"),
        ({"llama.rope.scaling.type": "yarn"}, "rope scaling"),
        ({"llama.rope.scale_linear": 4.0}, "rope scaling"),
        ({"tokenizer.ggml.model": "llama"}, "tokenizer of model llama: wanted is gpt2"),
        ({"tokenizer.ggml.pre": "qwen2"}, "rules 'qwen2': known are gpt-2, default, smollm"),
    ],
)
def test_unsupported_metadata(write_model, metadata, message):
    with pytest.raises(UserError, match=message):
        load_gguf(write_model(metadata=metadata))


def test_other_architecture(write_model):
    with pytest.raises(UserError, match="architecture qwen2: wanted is llama"):
        load_gguf(write_model(architecture="qwen2"))


@pytest.mark.parametrize("kind", ["Q5_0", "Q5_1", "BF16"])
def test_unsupported_type_is_named(write_model, kind):
    wanted = f"token_embd.weight in {kind}: supported are Q4_0, Q4_1, Q8_0, F16, F32"
    with pytest.raises(UserError, match=wanted):
        load_gguf(write_model(kind=kind))


def test_unsupported_tensors(write_model, typed):
    norm = typed("Q8_0", np.ones(96, dtype=np.float32))
    with pytest.raises(UserError, match="output_norm.weight in Q8_0: supported are F16, F32"):
        load_gguf(write_model(tensors={"output_norm.weight": norm}))
    with pytest.raises(UserError, match="holds blk.0.attn_q.bias"):
        load_gguf(write_model(tensors={"blk.0.attn_q.bias": np.ones(96, dtype=np.float32)}))
    with pytest.raises(UserError, match="rope scaling"):
        load_gguf(write_model(tensors={"rope_freqs.weight": np.ones(16, dtype=np.float32)}))


def test_values_that_are_not_finite(write_model):
    values = np.ones(96, dtype=np.float32)
    values[17] = np.nan
    with pytest.raises(UserError, match="output_norm.weight cannot be read, it holds infinities"):
        load_gguf(write_model(tensors={"output_norm.weight": values}))
