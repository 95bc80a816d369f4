"""Quantizers of encoders: calibration, dead zones, shares of silence."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hw.spec.codes import TABLES
from sw.convert.convert_encoder import convert_encoder, trained_quantizers
from sw.convert.defaults import default_quantizers, site_of
from sw.convert.encoder import load_encoder
from sw.convert.encoder_quantizers import (
    as_inputs,
    bias_corrections,
    calibrated,
    correct_biases,
    dead_zone,
    record,
    silenced,
    silencing,
    thresholds_of,
)
from sw.convert.four_bits import four_bit_weights
from sw.convert.hessians import encoder_hessians
from sw.golden.classify import CodeClass
from sw.golden.codes import encode
from sw.golden.encoder import GoldenEncoder
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import LINEAR_SITES, FloatEncoder, pad
from tests.unit.encoders import SMALL, encoder_checkpoint

SENTENCES = [[2, 5 + i % 9, 6 + i % 7, 7 + i % 5, 10, *[8] * (i % 4), 3] for i in range(40)]
CONFIG = dataclasses.replace(SMALL, labels=2)


@pytest.fixture(scope="module")
def checkpoint():
    return encoder_checkpoint(CONFIG, seed=3)


@pytest.fixture(scope="module")
def seen(checkpoint):
    return record(FloatEncoder.from_checkpoint(checkpoint), SENTENCES, seed=0)


def silent_share(quantizers, table: str, seen) -> float:
    silent = total = 0
    for tensor, vectors in seen.items():
        if site_of(tensor) in LINEAR_SITES:
            quantizer = quantizers[tensor][table]
            encoded = encode(
                as_inputs(vectors),
                table=TABLES[table],
                constant=quantizer.constant,
                threshold=quantizer.threshold,
            )
            mean = (encoded.classes == CodeClass.SILENT).double().mean()
            silent, total = silent + float(mean) * vectors.shape[1], total + vectors.shape[1]
    return silent / total


def test_recording_leaves_out_padding_and_follows_the_seed(checkpoint, seen):
    model = FloatEncoder.from_checkpoint(checkpoint)
    again = record(model, SENTENCES, seed=0)
    assert all(torch.equal(again[tensor], vectors) for tensor, vectors in seen.items())
    other = record(model, SENTENCES, seed=1)
    assert not torch.equal(other["layers.0.attn_q"], again["layers.0.attn_q"])
    one = record(model, [SENTENCES[3], [2, 3]], seed=0)
    assert len(one["layers.1.ffn_down"]) == len(SENTENCES[3]) + 2
    queries = SMALL.heads * len(one["layers.0.attn_q"])
    assert one["layers.0.query"].shape == (queries, SMALL.width // SMALL.heads)


def test_calibration_keeps_integers_few(seen):
    quantizers = calibrated(CONFIG.layers, seen)
    assert quantizers.keys() == default_quantizers(CONFIG.layers).keys()
    for tensor, vectors in seen.items():
        encoded = encode(
            as_inputs(vectors),
            table=TABLES["companded"],
            constant=quantizers[tensor]["companded"].constant,
        )
        assert (encoded.classes == CodeClass.INTEGER).double().mean() < 0.06, tensor


@pytest.mark.parametrize("table", ["companded", "signed8"])
@pytest.mark.parametrize("target", [0.3, 0.6, 0.8])
def test_thresholds_reach_the_share_wanted(seen, table, target):
    quantizers = calibrated(CONFIG.layers, seen)
    chosen = silencing(quantizers, table, seen, target)
    assert abs(silent_share(chosen, table, seen) - target) < 0.04
    thresholds = thresholds_of(chosen, table)
    others = [t for tensor, t in thresholds.items() if site_of(tensor) not in LINEAR_SITES]
    assert set(others) == {4}
    other = "fp4"
    assert thresholds_of(chosen, other) == thresholds_of(quantizers, other)


def test_every_tensor_loses_the_same_part_of_its_variance(seen):
    quantizers = calibrated(CONFIG.layers, seen)
    zone = FakeEncoderQuantizers(silencing(quantizers, "companded", seen, 0.6))
    lost = []
    for tensor, vectors in seen.items():
        if site_of(tensor) in LINEAR_SITES:
            silenced = vectors.masked_fill(zone.linear_input(vectors, tensor) != 0, 0.0)
            lost.append(float(silenced.var(0).sum() / vectors.var(0).sum()))
    assert max(lost) < 1.6 * min(lost)


def test_biases_take_up_the_mean_of_what_is_lost(checkpoint, seen):
    quantizers = calibrated(CONFIG.layers, seen)
    before = FakeEncoderQuantizers(quantizers)
    after = FakeEncoderQuantizers(silencing(quantizers, "companded", seen, 0.7))
    model = FloatEncoder.from_checkpoint(checkpoint)
    corrections = bias_corrections(seen, before, after)
    assert corrections.keys() == {tensor for tensor in seen if site_of(tensor) in LINEAR_SITES}
    x = seen["layers.1.ffn_down"]
    linear = model.blk[1].ffn_down
    with torch.no_grad():
        wanted = linear(before.linear_input(x, "layers.1.ffn_down")).mean(0)
        wrong = linear(after.linear_input(x, "layers.1.ffn_down")).mean(0)
        correct_biases(model, corrections)
        right = linear(after.linear_input(x, "layers.1.ffn_down")).mean(0)
    torch.testing.assert_close(right, wanted)
    assert (wrong - wanted).abs().max() > 0.01


def test_silence_without_training_keeps_the_outputs_near(checkpoint, seen):
    quantizers = calibrated(CONFIG.layers, seen)
    options = {"table": "companded", "target": 0.5}
    other, chosen = silenced(checkpoint, quantizers, SENTENCES, **options, seed=0)
    tokens, mask = pad(SENTENCES)

    def vectors(source, used):
        network = FloatEncoder.from_checkpoint(source)
        network.quantizers = FakeEncoderQuantizers(used)
        with torch.no_grad():
            return network.encode(tokens, mask)[mask]

    wanted = vectors(checkpoint, quantizers)
    plain, corrected = (vectors(source, chosen) - wanted for source in (checkpoint, other))
    assert corrected.square().mean() < 0.9 * plain.square().mean()
    assert corrected.mean(0).norm() < 0.6 * plain.mean(0).norm()
    inner = FakeEncoderQuantizers(chosen)
    coded = record(FloatEncoder.from_checkpoint(other), SENTENCES, seed=0, inner=inner)
    assert abs(silent_share(chosen, "companded", coded) - 0.5) < 0.05


def test_dead_zone_of_k_levels(seen):
    quantizers = default_quantizers(CONFIG.layers)
    thresholds = thresholds_of(dead_zone(quantizers, "mttfs", 2), "mttfs")
    assert thresholds["layers.1.ffn_down"] == 20 and thresholds["layers.1.query"] == 4
    wider = (dead_zone(quantizers, "companded", k) for k in range(4))
    shares = [silent_share(each, "companded", seen) for each in wider]
    assert shares == sorted(shares) and shares[3] > shares[0] + 0.1


def test_compensation_helps_on_sentences_it_has_not_seen(checkpoint):
    hessians = [encoder_hessians(checkpoint, part) for part in (SENTENCES[::2], SENTENCES[1::2])]
    _, losses = four_bit_weights(
        checkpoint, compensate=True, hessians=hessians[0], held_out=hessians[1]
    )
    assert len(losses) == 6 * CONFIG.layers
    assert sum(loss.chosen for loss in losses) < 0.7 * sum(loss.rounding for loss in losses)


def test_converted_encoder_is_the_checkpoint(checkpoint, tmp_path):
    four, losses = four_bit_weights(checkpoint, compensate=False)
    assert not losses
    model = convert_encoder(four, table="signed8")
    assert model.matrices["layers.1.qkv"].format.name == "w4"
    assert model.matrices["head"].format.name == model.matrices["embedding"].format.name == "w8"
    assert convert_encoder(checkpoint).matrices["layers.0.ffn_up"].format.name == "w8"
    path = tmp_path / "encoder.safetensors"
    model.save(path)
    loaded = load_encoder(path)
    assert loaded.table == "signed8" and loaded.quantizers == model.quantizers
    golden = [GoldenEncoder(m).encode(SENTENCES[1]).logits for m in (model, loaded)]
    assert torch.equal(*golden)


def test_quantizers_of_the_training_are_kept(checkpoint, seen):
    quantizers = silencing(default_quantizers(CONFIG.layers), "fp4", seen, 0.5)
    training = {
        "table": "fp4",
        "quantizers": {
            tensor: {"fp4": list(dataclasses.astuple(tables["fp4"]))}
            for tensor, tables in quantizers.items()
        },
    }
    trained = dataclasses.replace(checkpoint, training=training)
    kept = trained_quantizers(trained)
    assert thresholds_of(kept, "fp4") == thresholds_of(quantizers, "fp4")
    assert thresholds_of(kept, "companded") == thresholds_of(quantizers, "companded")
    assert convert_encoder(trained).table == "fp4"
