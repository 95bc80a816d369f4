"""The encoder: the text number by number, float arithmetic, counters and refusals."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from sw.convert.encoder import fixed_point
from sw.errors import UserError
from sw.golden.encoder import GoldenEncoder
from sw.golden.encoder_vector import LayerNorm, gelu
from sw.golden.integers import FRACTION
from sw.golden.linear import GoldenLinear, input_site
from tests.unit.golden.encoders import TINY_ENCODER, random_encoder, random_sentence
from tests.unit.golden.slow_encoder import SlowEncoder

LINEAR = [name for name, table in TABLES.items() if table.linear]


@pytest.mark.parametrize("table", LINEAR)
@pytest.mark.parametrize("pooling, labels, fraction", [("mean", 3, 12), ("cls", 0, 9)])
def test_encoder_equals_the_text_number_by_number(table, pooling, labels, fraction):
    config = dataclasses.replace(TINY_ENCODER, pooling=pooling, labels=labels, layers=1)
    model = random_encoder(config, seed=len(table), residual_fraction=fraction)
    for length in (1, 5):
        tokens = random_sentence(length, config)
        expected = SlowEncoder(model, table).encode(tokens)
        found = GoldenEncoder(model, table=table).encode(tokens)
        assert tuple(part.tolist() for part in found) == expected


def test_two_layers_equal_the_text():
    model = random_encoder(seed=4)
    tokens = random_sentence(3)
    found = GoldenEncoder(model).encode(tokens)
    assert tuple(part.tolist() for part in found) == SlowEncoder(model, "companded").encode(tokens)


def test_tokens_of_a_batch_share_what_is_read():
    model, tokens = random_encoder(seed=1), random_sentence(10)
    found = []
    for batch in (1, 4):
        encoder = GoldenEncoder(model, lanes=8, memory="axi", batch=batch)
        hidden, _, _ = encoder.encode(tokens)
        found.append((hidden.tolist(), encoder.counters.pop("rows_read"), encoder.counters))
    assert found[0][0] == found[1][0] and found[0][2]["spikes"] == found[1][2]["spikes"]
    assert found[0][1] > 2 * found[1][1]


@pytest.mark.parametrize("pooling, labels", [("mean", 3), ("cls", 0)])
def test_sentences_of_one_length_are_encoded_as_each_alone(pooling, labels):
    config = dataclasses.replace(TINY_ENCODER, pooling=pooling, labels=labels)
    model = random_encoder(config, seed=6)
    ids = np.array(random_sentence(6, config))
    sentences = [((ids + 3 * i) % config.vocabulary).tolist() for i in range(5)]
    together, alone = (GoldenEncoder(model, lanes=8) for _ in range(2))
    found = together.encode_alike(sentences)
    for encoding, tokens in zip(found, sentences, strict=True):
        for one, two in zip(encoding, alone.encode(tokens), strict=True):
            assert torch.equal(one, two)
    assert together.counters == alone.counters
    assert not torch.equal(found[0].hidden, found[1].hidden)
    with pytest.raises(ValueError, match="wanted sentences of one length: sort them"):
        together.encode_alike([sentences[0], sentences[1][:3]])


def test_every_product_may_be_done_elsewhere():
    model, tokens = random_encoder(seed=2), random_sentence(7)
    other = GoldenLinear(model, table=TABLES["companded"], lanes=8)
    inside, outside = GoldenEncoder(model, lanes=8), GoldenEncoder(model, linear=other)
    for one, two in zip(inside.encode(tokens), outside.encode(tokens), strict=True):
        assert torch.equal(one, two)
    assert inside.counters == other.counters
    elements = 7 * 2 * (3 * 96 + 72) + 96
    assert sum(other.counters[n] for n in ("spikes", "silent", "integer_events")) == elements


def test_order_of_the_tokens_matters_and_the_last_is_seen_by_the_first():
    encoder = GoldenEncoder(random_encoder(seed=3))
    tokens = random_sentence(6)
    hidden = encoder.encode(tokens).hidden
    changed = encoder.encode([*tokens[:5], (tokens[5] + 1) % 53]).hidden
    assert not torch.equal(hidden[0], changed[0])
    assert not torch.equal(encoder.encode(tokens[::-1]).hidden[0], hidden[5])


def test_gelu_is_near_the_exact_function():
    g = torch.arange(-(10 << FRACTION), 10 << FRACTION)
    x = g.double() / 2**FRACTION
    exact = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    worst = (gelu(g).double() / 2**FRACTION - exact).abs().amax()
    assert 0.00105 < worst < 0.0011
    assert gelu(torch.tensor([-(1 << 23) + 1, (1 << 23) - 1])).tolist() == [0, (1 << 23) - 1]


def norm_of(gamma, beta, *, fraction, epsilon=1e-12):
    gains = np.rint(np.asarray(gamma) * 2.0**14).astype(np.int16)
    offsets = fixed_point(np.asarray(beta, float), fraction)
    return LayerNorm.of(gains, 14, offsets, epsilon=epsilon, fraction=fraction)


@pytest.mark.parametrize("width", [1, 3, 96, 384])
@pytest.mark.parametrize("mean", [0, 900])
def test_layer_norm_is_near_that_of_float(width, mean):
    rng = np.random.default_rng(width)
    gamma, beta = rng.uniform(0.5, 1.5, width), rng.normal(0, 1, width)
    h = torch.from_numpy(rng.normal(mean, 3, (5, width)))
    words = (h * 4096).round().long()
    found = norm_of(gamma, beta, fraction=12, epsilon=1e-5)(words).double() / 4096
    wanted = torch.nn.functional.layer_norm(
        words.double() / 4096, (width,), torch.from_numpy(gamma), torch.from_numpy(beta), 1e-5
    )
    # The mean is known to 2^-17 of itself.
    assert (found - wanted).abs().amax() < 0.002 + mean * 2**-15


def test_layer_norm_at_the_limits():
    """The largest words, a mean that leaves no room, and a vector without variance."""
    most = (1 << 23) - 1
    norm = norm_of(np.full(384, 1.99), np.full(384, 7.9), fraction=12)
    h = torch.full((2, 384), most)
    h[1, 0] = -most
    flat, peak = norm(h)
    assert flat.unique().tolist() == [round(7.9 * 4096)]
    assert peak[0] < -(most >> 9) and peak[1:].unique().numel() == 1


def test_numbers_are_rounded_to_16_bits():
    values, fraction = fixed_point(np.array([0.25, -100.0]), 12)
    assert (values.tolist(), fraction) == ([64, -25600], 8)
    assert fixed_point(np.array([0.5, -1.0]), 12).fraction == 12
    assert fixed_point(np.zeros(3), 12).values.tolist() == [0, 0, 0]
    assert fixed_point(np.array([32767.6]), 12)[1] == -1


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "a sentence must have 1 to 40 tokens, not 0"),
        ([1] * 41, "a sentence must have 1 to 40 tokens, not 41"),
        ([1, 53], "token ids must be 0..52, not 53"),
        ([-1], "token ids must be 0..52, not -1"),
    ],
)
def test_what_is_no_sentence_is_refused(tokens, message):
    with pytest.raises(UserError, match=message):
        GoldenEncoder(random_encoder()).encode(tokens)


def test_sites():
    assert input_site("layers.3.ffn_up") == "layers.3.ffn_gate"
