"""Codes of the fake-quantized baselines, by hand."""

import pytest
import torch

from sw.compare.quantizers import (
    FixedChannelQuantizers,
    NaiveQuantizers,
    RateQuantizers,
    Saliency,
    matrix_shapes,
)
from sw.golden.fake import FakeQuantizers
from sw.golden.float_model import FloatLlama
from sw.load.gguf import load_gguf
from sw.models import bundled_model


@pytest.fixture(scope="module")
def checkpoint():
    return load_gguf(bundled_model())


def make(kind, checkpoint, salient=(), width=6, **options):
    mask = torch.zeros(width, dtype=torch.bool)
    mask[list(salient)] = True
    return kind(checkpoint, {}, salient={"head": mask}, **options)


def test_naive_codes(checkpoint):
    x = torch.tensor([[7.0, -3.4, 0.4, 0.6, -7.0, 2.0]])
    quantizers = make(NaiveQuantizers, checkpoint)
    coded, counts = quantizers.code(x, "head")
    assert torch.allclose(coded, torch.tensor([[7.0, -3.0, 0.0, 1.0, -7.0, 2.0]]))
    assert (counts["silent"], counts["spikes"], counts["integers"]) == (1, 5, 0)
    assert counts["steps"] == 4  # 7, 3, 1, 2


def test_fixed_channels(checkpoint):
    x = torch.tensor([[700.0, -3.4, 0.4, 0.6, -7.0, 127.0]])
    quantizers = make(FixedChannelQuantizers, checkpoint, salient=(0, 5))
    coded, counts = quantizers.code(x, "head")
    assert torch.allclose(coded[0, 1:5], torch.tensor([-3.0, 0.0, 1.0, -7.0]))
    assert torch.allclose(coded[0, [0, 5]], torch.tensor([700.0, 700 / 127 * 23]))
    assert (counts["silent"], counts["spikes"], counts["integers"]) == (1, 3, 2)


def test_rate_codes(checkpoint):
    x = torch.tensor([[8.0, 0.0, 3.6, -8.0, 4.2, 1.0]])
    quantizers = make(RateQuantizers, checkpoint, salient=(5,), steps=16)
    coded, counts = quantizers.code(x, "head")
    assert torch.allclose(coded, torch.tensor([[8.0, 0.0, 4.0, -8.0, 4.0, 1.0]]))
    # Codes 16, 8, 12, 0, 12, and 32 of the salient channel in twice the steps.
    assert counts["events"] == 16 + 8 + 12 + 0 + 12 + 32
    assert counts["silent"] == 1 and counts["steps"] == 32


def test_tensors_are_known_by_the_order_of_calls(checkpoint):
    network = FloatLlama.from_checkpoint(checkpoint)
    weights = FakeQuantizers.from_checkpoint(checkpoint).weights
    network.quantizers = chooser = Saliency(checkpoint, weights)
    tokens = torch.arange(24)[None]
    with torch.no_grad():
        network(tokens)
        chosen = chooser.chosen(0.1)
        network.quantizers = quantizers = NaiveQuantizers(checkpoint, weights)
        network(tokens)
        network(tokens)
    assert set(quantizers.activities) == set(matrix_shapes(checkpoint)) == set(chosen)
    assert quantizers.vectors == 48
    assert all(mask.sum() == max(1, round(0.1 * len(mask))) for mask in chosen.values())
    config = checkpoint.config
    assert quantizers.activities["layers.0.ffn_down"].elements == 48 * config.ffn_width
    assert quantizers.activities["head"].outputs == config.vocabulary


def test_queries_stay_dense(checkpoint):
    quantizers = make(NaiveQuantizers, checkpoint)
    query = torch.randn(1, 4, 3, 32, generator=torch.Generator().manual_seed(1))
    error = quantizers.query(query) - query
    assert 0 < error.abs().max() < query.abs().max() / 100
    assert not quantizers.activities
