"""The model that ships, and the writer that made it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from sw.convert.convert import PARTS, convert
from sw.golden.fake import FakeQuantizers
from sw.golden.float_model import FloatLlama
from sw.golden.perplexity import perplexity
from sw.load.checkpoint import LlamaConfig
from sw.load.gguf import load_gguf
from sw.models import bundled_model
from tools.export_gguf import export_gguf
from tools.train_bundled import CONFIG, END_OF_TEXT, train_tokenizer

TEXT = (
    "She had been forced into prudence in her youth, she learned romance as she\n"
    "grew older: the natural sequel of an unnatural beginning."
)
TINY = LlamaConfig(
    layers=1, width=64, ffn_width=96, heads=2, kv_heads=1, head_width=32, vocabulary=300,
    context=21, rope_theta=100.0, rope_interleaved=True, norm_epsilon=1e-5, tied_head=True,
)  # fmt: skip


def make_tiny() -> tuple[FloatLlama, Tokenizer]:
    model = FloatLlama(TINY, generator=torch.Generator().manual_seed(4))
    return model, train_tokenizer([TEXT * 3], TINY.vocabulary)


def test_bundled_model_is_small_and_of_the_declared_shape() -> None:
    path = bundled_model()
    assert path.stat().st_size <= 300_000
    config = load_gguf(path).config
    assert config.norm_epsilon == pytest.approx(CONFIG.norm_epsilon)
    assert (config.layers, config.width, config.vocabulary) == (5, 64, 512)
    assert sum(p.numel() for p in FloatLlama(config).parameters()) <= 300_000


def test_bundled_model_predicts_text_in_float_and_fake() -> None:
    checkpoint = load_gguf(bundled_model())
    tokens = torch.tensor(checkpoint.tokenizer.encode(TEXT))
    model = FloatLlama.from_checkpoint(checkpoint)
    exact = perplexity(model, tokens, len(tokens)).perplexity
    model.quantizers = FakeQuantizers.from_checkpoint(checkpoint)
    fake = perplexity(model, tokens, len(tokens)).perplexity
    assert 5 < exact < 30
    assert fake == pytest.approx(exact, rel=0.1)


def test_bundled_text_round_trips() -> None:
    tokenizer = load_gguf(bundled_model()).tokenizer
    ids = tokenizer.encode(TEXT + END_OF_TEXT, parse_special=True)
    assert ids[-1] == tokenizer.eos
    assert tokenizer.decode(ids) == TEXT


def test_conversion_of_the_bundled_model_loses_nothing() -> None:
    checkpoint = load_gguf(bundled_model())
    converted = convert(checkpoint)
    for n in range(checkpoint.config.layers):
        for name, parts in PARTS.items():
            tensors = [checkpoint.tensors[f"blk.{n}.{part}.weight"] for part in parts]
            unit = np.ldexp(1.0, converted.matrices[f"layers.{n}.{name}"].exponent)[:, None]
            d, b = (getattr(converted.matrices[f"layers.{n}.{name}"], key) for key in "db")
            assert np.array_equal(d * unit, np.concatenate([t.scale for t in tensors]))
            assert np.array_equal(b * unit, np.concatenate([t.offset for t in tensors]))


def test_exported_file_holds_the_fake_weights(tmp_path: Path) -> None:
    model, tokenizer = make_tiny()
    about = {"name": "Tiny", "license": "MIT", "description": "random"}
    for name in ("one.gguf", "two.gguf"):
        export_gguf(tmp_path / name, model, tokenizer, end=END_OF_TEXT, about=about)
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
    checkpoint = load_gguf(tmp_path / "one.gguf")
    assert checkpoint.name == "Tiny"
    assert checkpoint.tokenizer.encode(TEXT) == tokenizer.encode(TEXT).ids
    loaded, fake = FloatLlama.from_checkpoint(checkpoint).state_dict(), FakeQuantizers()
    for name, parameter in model.named_parameters():
        wanted = fake.weight(parameter, name) if parameter.dim() == 2 else parameter
        assert torch.equal(loaded[name], wanted.detach())


def test_messages(tmp_path: Path) -> None:
    model, tokenizer = make_tiny()
    about = {"name": "Tiny", "license": "MIT", "description": "random"}
    with torch.no_grad():
        model.blk[0].attn_q.weight *= 1e-7
    with pytest.raises(ValueError, match="half precision holds exactly; some weight is too small"):
        export_gguf(tmp_path / "x.gguf", model, tokenizer, end=END_OF_TEXT, about=about)
