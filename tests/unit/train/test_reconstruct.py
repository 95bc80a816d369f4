"""Matrices fitted to a float teacher make up for what silence takes."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from sw.convert.encoder_quantizers import calibrated, record, silencing
from sw.convert.hessians import encoder_hessians
from sw.golden.fake_encoder import FakeEncoderQuantizers
from sw.golden.float_encoder import FloatEncoder, pad
from sw.train.reconstruct import Codes, Regression, reconstruct
from tests.unit.encoders import SMALL, encoder_checkpoint

CONFIG = dataclasses.replace(SMALL, labels=2)


def some_sentences(count: int, seed: int) -> list[list[int]]:
    draw = torch.Generator().manual_seed(seed)
    return [
        [2, *torch.randint(5, 16, (4 + i % 9,), generator=draw).tolist(), 3] for i in range(count)
    ]


@pytest.fixture(scope="module")
def silent():
    """Checkpoint and its quantizers with 60 % of the elements silent."""
    checkpoint = encoder_checkpoint(CONFIG, seed=3)
    seen = record(FloatEncoder.from_checkpoint(checkpoint), some_sentences(40, 0), seed=0)
    quantizers = silencing(calibrated(CONFIG.layers, seen), "companded", seen, 0.6)
    return checkpoint, FakeEncoderQuantizers(quantizers)


def test_a_regression_finds_weights_and_biases():
    draw = torch.Generator().manual_seed(0)
    weights, biases = torch.randn(5, 8, generator=draw), torch.randn(5, generator=draw)
    regression = Regression(8, 5)
    for rows in (40, 3):
        x = torch.randn(rows, 8, generator=draw) + 3
        regression.add(x, x @ weights.T + biases)
    found = regression.solve(torch.zeros(5, 8), 0.0)
    torch.testing.assert_close(found, (weights, biases), rtol=1e-3, atol=1e-3)
    near = torch.randn(5, 8, generator=draw)
    stays, _ = regression.solve(near, 1e9)
    torch.testing.assert_close(stays, near)


def test_without_codes_nothing_changes():
    teacher = FloatEncoder.from_checkpoint(encoder_checkpoint(CONFIG, seed=3))
    student = copy.deepcopy(teacher)
    distances = reconstruct(student, teacher, some_sentences(40, 1), student.quantizers)
    assert len(distances) == CONFIG.layers and max(distances) < 1e-9
    for (name, a), b in zip(
        student.state_dict().items(), teacher.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3, msg=name)


def test_outputs_on_other_sentences_come_nearer(silent):
    checkpoint, quantizers = silent
    teacher = FloatEncoder.from_checkpoint(checkpoint)
    student = copy.deepcopy(teacher)
    tokens, mask = pad(some_sentences(60, 9))

    @torch.no_grad()
    def away() -> float:
        student.quantizers = Codes(quantizers)
        lost = (student.encode(tokens, mask) - teacher.encode(tokens, mask))[mask]
        return float(lost.square().mean())

    plain = away()
    distances = reconstruct(student, teacher, some_sentences(200, 1), quantizers)
    assert away() < 0.6 * plain
    assert 0 < distances[0] < 1
    assert torch.equal(student.token_embd.weight, teacher.token_embd.weight)


def test_hessians_see_coded_inputs(silent):
    checkpoint, quantizers = silent
    sentences = some_sentences(20, 2)
    plain, coded = (
        encoder_hessians(checkpoint, sentences, quantizers=q) for q in (None, quantizers)
    )
    site = "blk.0.attn_q"
    model = FloatEncoder.from_checkpoint(checkpoint)
    wanted = 0
    for ids in sentences:
        x = quantizers.linear_input(model.embed(torch.tensor([ids])), "layers.0.attn_q")[0]
        wanted = wanted + x.double().T @ x.double()
    torch.testing.assert_close(coded[site], wanted.detach(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain[site], coded[site], rtol=0.02)
