"""The float encoder against formulas written out by hand, and its fake-quantized form."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.scales import scale_constant
from sw.convert.convert_encoder import convert_encoder
from sw.convert.defaults import default_quantizers
from sw.convert.four_bits import four_bit_weights
from sw.golden.encoder import GoldenEncoder
from sw.golden.fake_encoder import FakeEncoderQuantizers, ratio_of, take_biases
from sw.golden.fake_weights import fake_weight
from sw.golden.float_encoder import EncoderQuantizers, FloatEncoder, pad
from tests.unit.encoders import SMALL, encoder_checkpoint

TOKENS = [2, 10, 6, 11, 12, 5, 13, 3]


def make(**changes: object) -> FloatEncoder:
    config = dataclasses.replace(SMALL, labels=3, **changes)
    return FloatEncoder.from_checkpoint(encoder_checkpoint(config, seed=2))


def naive_logits(model: FloatEncoder, tokens: list[int]) -> np.ndarray:
    """One head and one position at a time, in float64."""
    c = model.config
    w = {name: p.detach().double().numpy() for name, p in model.named_parameters()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean()
        scale = math.sqrt((centred**2).mean() + c.norm_epsilon)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    def gelu(x: float) -> float:
        return x * (1 + math.erf(x / math.sqrt(2))) / 2

    stream = [
        norm(
            w["token_embd.weight"][token]
            + w["position_embd.weight"][position]
            + w["token_types.weight"][0],
            "token_embd_norm",
        )
        for position, token in enumerate(tokens)
    ]
    width = c.width // c.heads
    for n in range(c.layers):
        block = f"blk.{n}."
        q, k, v = (
            [linear(x, f"{block}{name}") for x in stream] for name in ("attn_q", "attn_k", "attn_v")
        )
        after = []
        for t, x in enumerate(stream):
            mixed = []
            for h in range(c.heads):
                part = slice(h * width, (h + 1) * width)
                scores = [math.exp(q[t][part] @ key[part] / math.sqrt(width)) for key in k]
                weighted = [s * value[part] for s, value in zip(scores, v, strict=True)]
                mixed.append(sum(weighted) / sum(scores))
            y = norm(
                x + linear(np.concatenate(mixed), f"{block}attn_output"), f"{block}attn_output_norm"
            )
            hidden = np.array([gelu(g) for g in linear(y, f"{block}ffn_up")])
            after.append(norm(y + linear(hidden, f"{block}ffn_down"), f"{block}layer_output_norm"))
        stream = after
    pooled = stream[0] if c.pooling == "cls" else np.mean(stream, axis=0)
    return linear(pooled, "cls")


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_logits_equal_the_formulas(pooling):
    model = make(pooling=pooling)
    sentences = [TOKENS, TOKENS[:3], [2, 3], [*TOKENS[::-1], 9, 3]]
    got = model(*pad(sentences)).detach().numpy()
    wanted = [naive_logits(model, sentence) for sentence in sentences]
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)


def test_padding_changes_nothing():
    model = make()
    tokens, mask = pad([TOKENS[:4], TOKENS])
    alone = model(*pad([TOKENS[:4]]))
    tokens[0, 4:] = 7
    torch.testing.assert_close(model(tokens, mask)[:1], alone)


def test_without_a_head_the_pooled_vector_comes_out():
    model = FloatEncoder.from_checkpoint(encoder_checkpoint(seed=2))
    tokens, mask = pad([TOKENS])
    torch.testing.assert_close(model(tokens, mask)[0], model.encode(tokens, mask)[0].mean(0))


def test_too_many_tokens():
    with pytest.raises(ValueError, match="at most 16 tokens .* got 17: shorten"):
        make()(*pad([[2] * 17]))


def test_every_site_and_weight_passes_the_quantizers():
    seen = []

    class Recorder(EncoderQuantizers):
        def linear_input(self, x, site):
            seen.append(site)
            return x

        def weight(self, w, name):
            seen.append(name)
            return w

        def embedding(self, w, index, name):
            seen.append(name)
            return super().embedding(w, index, name)

    model = make()
    model.quantizers = Recorder()
    model(*pad([TOKENS]))
    matrices = {name for name, p in model.named_parameters() if p.dim() == 2}
    sites = default_quantizers(SMALL.layers).keys() - {
        f"layers.{n}.probability" for n in range(SMALL.layers)
    }
    assert set(seen) == (matrices | sites) - {"position_embd.weight", "token_types.weight"}


@pytest.mark.parametrize("table", [name for name, table in TABLES.items() if table.linear])
def test_fake_and_golden_are_near_each_other(table):
    checkpoint = encoder_checkpoint(dataclasses.replace(SMALL, labels=3), seed=2)
    four, _ = four_bit_weights(checkpoint, compensate=False)
    model = convert_encoder(four, table=table)
    network = FloatEncoder.from_checkpoint(checkpoint)
    tokens, mask = pad([TOKENS])
    with torch.no_grad():
        exact = network.encode(tokens, mask)[0]
        network.quantizers = FakeEncoderQuantizers.from_model(model)
        fake = network.encode(tokens, mask)[0]
        logits = network(tokens, mask)[0]
    golden = GoldenEncoder(model).encode(TOKENS)
    hidden = golden.hidden.float() / 2**model.residual_fraction
    # Codes flip where words round: the rungs differ by less than either does from float.
    lost, also_lost = (fake - exact).norm(), (hidden - exact).norm()
    assert (fake - hidden).norm() < 0.85 * lost and 0.8 < also_lost / lost < 1.25
    assert (fake - exact).norm() < 0.5 * exact.norm()
    assert (logits - golden.logits / 4096).abs().max() < 0.3


def test_weights_in_the_loop_are_those_of_the_converted_model():
    checkpoint = encoder_checkpoint(dataclasses.replace(SMALL, labels=3), seed=2)
    four, _ = four_bit_weights(checkpoint, compensate=False)
    stored = FakeEncoderQuantizers.from_model(convert_encoder(four)).weights
    for n in range(SMALL.layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"):
            full = f"blk.{n}.{name}.weight"
            trained = fake_weight(torch.from_numpy(checkpoint.tensors[full]), full)
            assert torch.equal(stored[full], trained)


def test_biases_come_from_the_converted_model():
    model = make()
    other = encoder_checkpoint(dataclasses.replace(SMALL, labels=3), seed=9)
    take_biases(model, convert_encoder(other))
    for name, parameter in model.named_parameters():
        if name.endswith(".bias") and "norm" not in name:
            wanted = torch.from_numpy(other.tensors[name])
            torch.testing.assert_close(parameter, wanted, rtol=0, atol=2**-12)


def test_gradients_pass_through_the_codes():
    model = make()
    model.quantizers = FakeEncoderQuantizers(default_quantizers(SMALL.layers))
    model(*pad([TOKENS]))[0, 0].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_ratio_of_a_constant():
    for c in (0.3, 1.0, 2.76):
        assert ratio_of(scale_constant(c)) == pytest.approx(c, rel=0.005)
