"""Silence is allotted where the answers mind it least."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sw.convert.defaults import site_of
from sw.convert.encoder_quantizers import calibrated, record, silencing, thresholds_of
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import LINEAR_SITES, EncoderQuantizers, FloatEncoder, pad
from sw.train.damage import THRESHOLDS, Curve, allot, damage
from tests.unit.encoders import SMALL, encoder_checkpoint

CONFIG = dataclasses.replace(SMALL, labels=2)
SENTENCES = [[2, 5 + i % 9, 6 + i % 7, 7 + i % 5, 10, *[8] * (i % 4), 3] for i in range(60)]
TABLE = "companded"


@pytest.fixture(scope="module")
def measured():
    """Model, quantizers, and the curves of all tensors."""
    model = FloatEncoder.from_checkpoint(encoder_checkpoint(CONFIG, seed=3))
    seen = record(model, SENTENCES, seed=0)
    quantizers = calibrated(CONFIG.layers, seen)
    return model, seen, quantizers, damage(model, SENTENCES, quantizers, TABLE)


class Lose(EncoderQuantizers):
    """Takes from one tensor a small part of what a threshold would take."""

    def __init__(self, tensor: str, zone: EncoderQuantizers, part: float) -> None:
        self.tensor, self.zone, self.part = tensor, zone, part
        self.mask = torch.ones(1, 1, dtype=torch.bool)
        self.mean = torch.zeros(())

    def linear_input(self, x, site):
        if site != self.tensor:
            return x
        lost = x.masked_fill(self.zone.linear_input(x, site) != 0, 0.0)
        self.mean = lost[self.mask].mean(0)
        return x - self.part * (lost - self.mean)


@pytest.mark.parametrize("tensor", ["layers.0.attn_q", "layers.1.ffn_down"])
def test_damage_is_the_change_of_the_answers(measured, tensor):
    model, _, quantizers, curves = measured
    place = THRESHOLDS.index(20)
    high = {t: dict(tables) for t, tables in quantizers.items()}
    high[tensor][TABLE] = dataclasses.replace(high[tensor][TABLE], threshold=20)
    part = 1e-2
    # All sentences in one batch, as the mean is that of all tokens.
    tokens, mask = pad(SENTENCES)
    answers = []
    for quantizer in (EncoderQuantizers(), Lose(tensor, FakeEncoderQuantizers(high), part)):
        model.quantizers = quantizer
        if isinstance(quantizer, Lose):
            quantizer.mask = mask
        with torch.no_grad():
            logits = model(tokens, mask)
        answers.append((logits[:, 1] - logits[:, 0]).double())
    model.quantizers = EncoderQuantizers()
    wanted = ((answers[1] - answers[0]) / part).square().mean()
    assert float(curves[tensor].damage[place]) == pytest.approx(float(wanted), rel=0.05)
    assert float(wanted) > 0


def test_curves_are_of_the_inputs_of_layers(measured):
    model, seen, quantizers, curves = measured
    assert curves.keys() == {t for t in seen if site_of(t) in LINEAR_SITES}
    assert type(model.quantizers) is EncoderQuantizers
    for tensor, curve in curves.items():
        assert curve.elements == seen[tensor].shape[1]
        assert curve.silent.tolist() == sorted(curve.silent.tolist())
        zone = FakeEncoderQuantizers(
            {tensor: {TABLE: dataclasses.replace(quantizers[tensor][TABLE], threshold=12)}}
        )
        silent = (zone.linear_input(seen[tensor], tensor) == 0).double().mean()
        assert abs(float(curve.silent[THRESHOLDS.index(12)] - silent)) < 0.03


def share_and_damage(quantizers, curves):
    thresholds = thresholds_of(quantizers, TABLE)
    total = sum(curve.elements for curve in curves.values())
    share = lost = 0.0
    for tensor, curve in curves.items():
        place = next(i for i, t in enumerate(THRESHOLDS) if t >= thresholds[tensor])
        share += float(curve.silent[place]) * curve.elements / total
        lost += float(curve.damage[place])
    return share, lost


@pytest.mark.parametrize("target", [0.4, 0.6, 0.8])
def test_the_share_is_reached_with_less_damage_than_by_variance(measured, target):
    _, seen, quantizers, curves = measured
    share, lost = share_and_damage(allot(quantizers, TABLE, curves, target), curves)
    assert target <= share < target + 0.02
    plain = silencing(quantizers, TABLE, seen, target)
    assert lost < 0.9 * share_and_damage(plain, curves)[1]
    assert thresholds_of(plain, "fp4") == thresholds_of(quantizers, "fp4")


def test_what_costs_nothing_falls_silent_first(measured):
    quantizers = measured[2]
    rise = torch.linspace(0, 1, len(THRESHOLDS), dtype=torch.float64)
    curves = {
        "layers.0.attn_q": Curve(rise, rise, 32),
        "layers.0.ffn_down": Curve(0 * rise, rise, 32),
    }
    chosen = thresholds_of(allot(quantizers, TABLE, curves, 0.5), TABLE)
    assert chosen["layers.0.ffn_down"] == THRESHOLDS[-1]
    assert chosen["layers.0.attn_q"] == THRESHOLDS[0]
    every = thresholds_of(allot(quantizers, TABLE, curves, 1.0), TABLE)
    assert every["layers.0.attn_q"] == THRESHOLDS[-1]
