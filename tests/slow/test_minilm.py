"""MiniLM as it is published: similar sentences stay near each other on every rung."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sw.commands.convert_encoder import convert_task_model
from sw.golden.encoder import GoldenEncoder
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import FloatEncoder, pad
from sw.load.fetch import fetch_minilm, polarity
from sw.load.hf import load_huggingface
from sw.load.polarity import SPLITS

pytestmark = pytest.mark.slow

SENTENCES = [
    "A truly wonderful film.",
    "This movie is great, I loved it.",
    "The stock market fell sharply on Monday.",
    "Share prices dropped at the start of the week.",
]


@pytest.fixture(scope="module")
def checkpoint():
    return load_huggingface(fetch_minilm())


def similarities(vectors: torch.Tensor) -> torch.Tensor:
    unit = functional.normalize(vectors.float(), dim=-1)
    return unit @ unit.T


def check(vectors: torch.Tensor) -> None:
    near = similarities(vectors)
    assert min(near[0, 1], near[2, 3]) > 0.5 and near[:2, 2:].max() < 0.3


def test_similar_sentences_are_near_on_every_rung(checkpoint):
    sentences = [checkpoint.tokenizer.encode(text) for text in SENTENCES]
    network = FloatEncoder.from_checkpoint(checkpoint)
    with torch.no_grad():
        exact = network(*pad(sentences))
        check(exact)
        model, losses = convert_task_model(checkpoint, text="polarity", tokens=2048)
        assert sum(loss.chosen for loss in losses) < 0.7 * sum(loss.rounding for loss in losses)
        network.quantizers = FakeEncoderQuantizers.from_model(model)
        fake = network(*pad(sentences))
    check(fake)
    encoder = GoldenEncoder(model)
    golden = torch.stack([encoder.encode(ids).pooled for ids in sentences])
    check(golden)
    for rung in (fake, golden):
        assert functional.cosine_similarity(rung.float(), exact).min() > 0.95


def test_polarity_has_the_sentences_that_the_page_counts():
    sizes = {split: len(polarity(split)) for split in SPLITS}
    assert sizes == {"train": 6617, "validation": 1012, "test": 2578}
    texts = [{" ".join(s.text.casefold().split()) for s in polarity(split)} for split in SPLITS]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
