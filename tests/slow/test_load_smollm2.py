"""The real SmolLM2-135M-Instruct: its shape, its tensors and its tokenizer."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from sw.load.checkpoint import Checkpoint, LlamaConfig, QuantizedTensor
from sw.load.fetch import SMOLLM2_SHA256, novel, resolve_checkpoint
from sw.load.gguf import load_gguf

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smollm2() -> Checkpoint:
    return load_gguf(resolve_checkpoint("smollm2-135m"))


def test_shape(smollm2):
    assert smollm2.sha256 == SMOLLM2_SHA256
    assert smollm2.config == LlamaConfig(
        layers=30,
        width=576,
        ffn_width=1536,
        heads=9,
        kv_heads=3,
        head_width=64,
        vocabulary=49152,
        context=8192,
        rope_theta=100000.0,
        rope_interleaved=True,
        norm_epsilon=float(np.float32(1e-5)),
        tied_head=True,
    )


def test_tensors_equal_the_reference(smollm2):
    reader = gguf.GGUFReader(resolve_checkpoint("smollm2-135m"))
    assert len(reader.tensors) == len(smollm2.tensors) == 272
    for tensor in reader.tensors:
        found = smollm2.tensors[tensor.name]
        if isinstance(found, QuantizedTensor):
            assert found.kind == tensor.tensor_type.name
            found = found.dequantize()
        np.testing.assert_array_equal(found, gguf.dequantize(tensor.data, tensor.tensor_type))


def test_tokens_of_known_text(smollm2):
    tokenizer = smollm2.tokenizer
    ids = tokenizer.encode("The capital of France is")
    assert ids == [504, 3575, 282, 4649, 314]
    digits = [tokenizer.decode([i]) for i in tokenizer.encode(" 1818")]
    assert digits == [" ", "1", "8", "1", "8"]
    assert (tokenizer.bos, tokenizer.eos, tokenizer.vocabulary) == (1, 2, 49152)


def test_chat_ends_where_the_answer_begins(smollm2):
    tokenizer = smollm2.tokenizer
    ids = tokenizer.chat([{"role": "user", "content": "Hi"}])
    text = tokenizer.decode(ids, keep_special=True)
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert ids.count(1) == 3 and ids.count(2) == 2


def test_a_whole_novel_round_trips(smollm2):
    text = novel("persuasion")
    ids = smollm2.tokenizer.encode(text)
    assert len(text) == 466_853
    assert smollm2.tokenizer.decode(ids) == text
    stream = smollm2.tokenizer.stream()
    assert "".join([*map(stream.push, ids), stream.finish()]) == text
