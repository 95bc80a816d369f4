"""Hugging Face models: names, precisions, shards, tokenizers, and every refusal."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, processors

from sw.errors import UserError
from sw.golden.float_model import FloatLlama
from sw.load.checkpoint import llama_shapes
from sw.load.hf import load_huggingface
from sw.load.hf_save import save_encoder
from sw.opening import open_any_checkpoint, open_checkpoint, open_encoder, open_model
from tests.unit.encoders import SMALL, VOCABULARY, random_tensors, write_bert

WIDTH, FFN, HEADS, KV_HEADS, LAYERS, HEAD = 32, 64, 4, 2, 2, 8
PARTS = {
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


def byte_level_json() -> str:
    """Tokenizer of 256 bytes, one merge and two special tokens; BOS in front of a text."""
    tokens = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "he"]
    coder = Library(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[("h", "e")]))
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    coder.decoder = decoders.ByteLevel()
    coder.add_special_tokens(["<s>", "</s>"])
    coder.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    coder.enable_truncation(4)
    coder.enable_padding()
    return coder.to_str()


def llama_tensors(*, tied: bool, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    shapes = {"model.embed_tokens": (259, WIDTH), "model.norm": (WIDTH,)}
    queries, keys = HEADS * HEAD, KV_HEADS * HEAD
    layer = {
        "input_layernorm": (WIDTH,),
        "self_attn.q_proj": (queries, WIDTH),
        "self_attn.k_proj": (keys, WIDTH),
        "self_attn.v_proj": (keys, WIDTH),
        "self_attn.o_proj": (WIDTH, queries),
        "post_attention_layernorm": (WIDTH,),
        "mlp.gate_proj": (FFN, WIDTH),
        "mlp.up_proj": (FFN, WIDTH),
        "mlp.down_proj": (WIDTH, FFN),
    }
    for n in range(LAYERS):
        shapes |= {f"model.layers.{n}.{name}": shape for name, shape in layer.items()}
    if not tied:
        shapes["lm_head"] = (259, WIDTH)
    return {
        f"{name}.weight": torch.from_numpy(rng.normal(size=shape).astype(np.float32))
        for name, shape in shapes.items()
    }


@pytest.fixture
def write_llama(tmp_path):
    """Write a model's folder; keyword arguments change `config.json`."""

    def write(*, tied=True, tensors=None, shards=1, dtype=torch.float32, **changes) -> Path:
        folder = tmp_path / "llama"
        folder.mkdir(exist_ok=True)
        content = {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_act": "silu",
            "hidden_size": WIDTH,
            "intermediate_size": FFN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "vocab_size": 259,
            "max_position_embeddings": 40,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500.0,
            "tie_word_embeddings": tied,
            "bos_token_id": 0,
            "eos_token_id": [1, 258],
            **changes,
        }
        (folder / "config.json").write_text(json.dumps(content))
        (folder / "tokenizer.json").write_text(byte_level_json())
        chosen = {n: t.to(dtype) for n, t in (tensors or llama_tensors(tied=tied)).items()}
        names = list(chosen)
        parts = [names[i::shards] for i in range(shards)]
        files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
        if shards == 1:
            files = ["model.safetensors"]
        else:
            placed = {name: f for f, part in zip(files, parts, strict=True) for name in part}
            index = {"metadata": {}, "weight_map": placed}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        for file, part in zip(files, parts, strict=True):
            save_file({name: chosen[name].contiguous() for name in part}, folder / file)
        return folder

    return write


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shards", [1, 3])
def test_llama_is_loaded_as_it_is(write_llama, tied, shards):
    checkpoint = load_huggingface(write_llama(tied=tied, shards=shards))
    config = checkpoint.config
    assert (config.layers, config.width, config.ffn_width) == (LAYERS, WIDTH, FFN)
    assert (config.heads, config.kv_heads, config.head_width) == (HEADS, KV_HEADS, HEAD)
    assert (config.vocabulary, config.context, config.rope_theta) == (259, 40, 500.0)
    assert config.tied_head == tied and not config.rope_interleaved
    assert config.norm_epsilon == 1e-5 and checkpoint.name == "llama"
    written = llama_tensors(tied=tied)
    assert checkpoint.tensors.keys() == llama_shapes(config).keys()
    for n in range(LAYERS):
        for ours, theirs in PARTS.items():
            got = checkpoint.tensors[f"blk.{n}.{ours}.weight"]
            assert np.array_equal(got, written[f"model.layers.{n}.{theirs}.weight"].numpy())
    embedding = written["model.embed_tokens.weight"].numpy()
    assert np.array_equal(checkpoint.tensors["token_embd.weight"], embedding)
    if not tied:
        head = written["lm_head.weight"].numpy()
        assert np.array_equal(checkpoint.tensors["output.weight"], head)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_become_float32(write_llama, dtype):
    checkpoint = load_huggingface(write_llama(dtype=dtype))
    written = llama_tensors(tied=True)["model.layers.1.mlp.up_proj.weight"]
    got = checkpoint.tensors["blk.1.ffn_up.weight"]
    assert got.dtype == np.float32 and np.array_equal(got, written.to(dtype).float().numpy())


def test_half_split_pairs_are_interleaved_ones_with_rows_in_another_order(write_llama):
    checkpoint = load_huggingface(write_llama())
    model = FloatLlama.from_checkpoint(checkpoint)
    tensors = dict(checkpoint.tensors)
    rows = np.arange(HEAD).reshape(2, -1).T.ravel()  # pair (i, i + half) becomes (2i, 2i + 1)
    for n in range(LAYERS):
        for name, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS)):
            matrix = tensors[f"blk.{n}.{name}.weight"].reshape(heads, HEAD, WIDTH)
            tensors[f"blk.{n}.{name}.weight"] = matrix[:, rows].reshape(-1, WIDTH)
    other = dataclasses.replace(
        checkpoint,
        tensors=tensors,
        config=dataclasses.replace(checkpoint.config, rope_interleaved=True),
    )
    tokens = torch.tensor([[3, 200, 17, 9, 9]])
    torch.testing.assert_close(FloatLlama.from_checkpoint(other)(tokens), model(tokens))


def test_byte_level_tokenizer(write_llama):
    tokenizer = load_huggingface(write_llama()).tokenizer
    ids = tokenizer.encode("the </s> café")
    assert ids[0] == 0 and 258 in ids and 1 not in ids and len(ids) > 4
    assert tokenizer.decode(ids) == "the </s> café"
    assert tokenizer.encode("he</s>", parse_special=True) == [0, 258, 1]
    assert tokenizer.decode([0, 258, 1], keep_special=True) == "<s>he</s>"
    assert (tokenizer.bos, tokenizer.eos, tokenizer.vocabulary) == (0, 1, 259)


def test_a_folder_opens_as_a_model(write_llama):
    folder = write_llama()
    model = open_model(str(folder))
    assert not model.config.rope_interleaved
    assert open_checkpoint(str(folder)).sha256 == model.source["sha256"]


LLAMA_ERRORS = {
    "architecture": ({"model_type": "mistral"}, "nearest that is supported is llama"),
    "encoder": ({"model_type": "roberta", "rms_norm_eps": None}, "architecture roberta"),
    "rope": ({"rope_scaling": {"rope_type": "llama3"}}, "frequencies are scaled"),
    "bias": ({"attention_bias": True}, "its linear layers have biases"),
    "activation": ({"hidden_act": "gelu"}, "its activation is gelu, not silu"),
    "heads": ({"num_key_value_heads": 3}, "4 heads do not share 3 key-value heads"),
    "odd": ({"head_dim": 7}, "the head width 7 is odd"),
    "size": ({"hidden_size": 0}, "has hidden_size = 0 where a whole number of at least 1"),
    "text": ({"vocab_size": "many"}, "has vocab_size = many where a whole number"),
    "epsilon": ({"rms_norm_eps": "x"}, "rms_norm_eps = x: wanted is a number"),
    "base": ({"rope_theta": -1.0}, "the rotary base is -1"),
    "shape": ({"intermediate_size": 65}, "mlp.gate_proj.weight of shape .64, 32. where .65, 32."),
    "layers": ({"num_hidden_layers": 3}, "lacks the tensor model.layers.2.input_layernorm.weight"),
    "foreign": ({"num_hidden_layers": 1}, "holds model.layers.1..*, which a plain Llama"),
}


@pytest.mark.parametrize("case", LLAMA_ERRORS)
def test_llama_errors_are_one_sentence(write_llama, case):
    changes, sentence = LLAMA_ERRORS[case]
    with pytest.raises(UserError, match=sentence) as error:
        load_huggingface(write_llama(**changes))
    assert "\n" not in str(error.value)


def test_missing_and_damaged_files(write_llama, tmp_path):
    folder = write_llama(shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="lacks model-00002-of-00002.safetensors, which model"):
        load_huggingface(folder)
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(UserError, match="neither model.safetensors nor model.safetensors.index"):
        load_huggingface(folder)
    write_llama()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:99])
    with pytest.raises(UserError, match="not a safetensors file, or damaged"):
        load_huggingface(folder)
    write_llama()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer.json cannot be read"):
        load_huggingface(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="has no tokenizer.json: name a folder"):
        load_huggingface(folder)
    (folder / "config.json").write_text("[")
    with pytest.raises(UserError, match="config.json is not JSON"):
        load_huggingface(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="has no config.json: name the folder of a Hugging Face"):
        load_huggingface(folder)
    with pytest.raises(UserError, match="There is no file"):
        load_huggingface(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no checkpoint .*nowhere: name a GGUF file, the folder"):
        open_any_checkpoint(str(tmp_path / "nowhere"))


def test_values_that_are_no_floats(write_llama):
    tensors = llama_tensors(tied=True)
    tensors["model.norm.weight"][3] = torch.nan
    with pytest.raises(UserError, match="model.norm.weight holds infinities or NaN"):
        load_huggingface(write_llama(tensors=tensors))
    with pytest.raises(UserError, match="embed_tokens.weight in int8: supported are bfloat16"):
        load_huggingface(write_llama(dtype=torch.int8))


def test_bert_is_loaded_as_it_is(tmp_path):
    checkpoint = load_huggingface(write_bert(tmp_path / "bert"))
    assert checkpoint.config == SMALL
    written = random_tensors(SMALL)
    assert checkpoint.tensors.keys() == written.keys()
    for name, value in written.items():
        assert np.array_equal(checkpoint.tensors[name], value), name


def test_word_pieces(tmp_path):
    tokenizer = load_huggingface(write_bert(tmp_path / "bert")).tokenizer
    pieces = ["[CLS]", "the", "plot", "is", "bad", "##ly", "[UNK]", "!", "[SEP]"]
    ids = [VOCABULARY.index(piece) for piece in pieces]
    assert tokenizer.encode("The plot is badly written!") == ids
    assert tokenizer.decode(ids[1:6]) == " the plot is badly"


def test_pooling_and_a_prefix(tmp_path):
    folder = write_bert(tmp_path / "bert")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    assert load_huggingface(folder).config.pooling == "cls"
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(UserError, match="its pooling is neither the mean of the tokens nor"):
        load_huggingface(folder)


BERT_ERRORS = {
    "architecture": ({"model_type": "roberta"}, "nearest that is supported is bert"),
    "positions": ({"position_embedding_type": "relative_key"}, "positions are relative_key"),
    "activation": ({"hidden_act": "relu"}, "its activation is relu, not gelu"),
    "heads": ({"num_attention_heads": 5}, "width 32 is no multiple of 5 heads"),
    "pooler": ({"architectures": ["BertForSequenceClassification"]}, "reads the tanh pooler"),
    "shape": ({"vocab_size": 99}, "word_embeddings.weight of shape .17, 32. where .99, 32."),
}


@pytest.mark.parametrize("case", BERT_ERRORS)
def test_bert_errors_are_one_sentence(tmp_path, case):
    changes, sentence = BERT_ERRORS[case]
    with pytest.raises(UserError, match=sentence) as error:
        load_huggingface(write_bert(tmp_path / "bert", **changes))
    assert "\n" not in str(error.value)


def test_a_trained_file_holds_everything(tmp_path):
    config = dataclasses.replace(SMALL, labels=3, pooling="cls")
    tensors = random_tensors(config, seed=1)
    source = load_huggingface(write_bert(tmp_path / "bert"))
    path = tmp_path / "trained.safetensors"
    training = {"task": "polarity", "seed": 4}
    save_encoder(
        path,
        config=config,
        tensors=tensors,
        tokenizer_json=source.tokenizer_spec["json"],
        training=training,
    )
    loaded = open_encoder(str(path))
    assert loaded.config == config and loaded.training == training
    assert all(np.array_equal(loaded.tensors[name], value) for name, value in tensors.items())
    text = "The film is not good."
    assert loaded.tokenizer.encode(text) == source.tokenizer.encode(text)
    with pytest.raises(UserError, match="is an encoder, where a decoder"):
        open_checkpoint(str(path))
    with pytest.raises(UserError, match="bundled is no encoder; name minilm or"):
        open_encoder("bundled")
