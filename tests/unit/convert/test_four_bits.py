"""4-bit weights of a whole float decoder, and the same weights on every rung."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sw.convert.convert import convert
from sw.convert.four_bits import four_bit_weights
from sw.convert.hessians import HELD_OUT, decoder_hessians, held_out_tokens
from sw.evaluate import evaluate
from sw.golden.fake_weights import chosen_weights
from sw.golden.float_model import FloatLlama
from sw.load.checkpoint import Checkpoint, LlamaConfig, QuantizedTensor

CONFIG = LlamaConfig(
    layers=2,
    width=64,
    ffn_width=96,
    heads=4,
    kv_heads=2,
    head_width=16,
    vocabulary=50,
    context=64,
    rope_theta=100.0,
    rope_interleaved=False,
    norm_epsilon=1e-5,
    tied_head=True,
)
TOKENS = np.random.default_rng(0).integers(0, 50, 8 * 64)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    model = FloatLlama(CONFIG, generator=torch.Generator().manual_seed(7))
    return Checkpoint(
        name="random",
        config=CONFIG,
        tensors={name: p.detach().numpy() for name, p in model.named_parameters()},
        tokenizer=None,
        tokenizer_spec={},
        sha256="0",
    )


def test_every_matrix_gains_from_compensation_on_text_held_out(checkpoint):
    chosen, held = held_out_tokens(TOKENS, 64)
    assert (
        len(chosen) == 6 * 64 and len(held) == 2 * 64 and held[:64].tolist() == TOKENS[:64].tolist()
    )
    hessians = [decoder_hessians(checkpoint, part, window=64) for part in (chosen, held)]
    assert set(hessians[0]) == {
        f"blk.{n}.{site}"
        for n in range(2)
        for site in ("attn_q", "attn_output", "ffn_gate", "ffn_down")
    }
    _, losses = four_bit_weights(
        checkpoint, compensate=True, hessians=hessians[0], held_out=hessians[1]
    )
    assert [loss.matrix for loss in losses[:3]] == ["blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v"]
    assert all(loss.chosen < 0.9 * loss.rounding for loss in losses) and len(losses) == 14


def test_hessians_are_those_of_normed_inputs(checkpoint):
    tokens = TOKENS[:64]
    got = decoder_hessians(checkpoint, tokens, window=64)["blk.0.attn_q"]
    x = checkpoint.tensors["token_embd.weight"][tokens].astype(np.float64)
    x /= np.sqrt((x**2).mean(-1, keepdims=True))  # the gains of a new model are 1
    np.testing.assert_allclose(got.numpy(), x.T @ x, rtol=1e-4, atol=1e-4)


def test_a_short_text_chooses_and_measures_nothing():
    chosen, held = held_out_tokens(TOKENS[:70], 64)
    assert held is None and len(chosen) == 70 and HELD_OUT > 1


def test_quantized_matrices_embedding_and_norms_stay(checkpoint):
    four, losses = four_bit_weights(checkpoint, compensate=True)
    assert not losses
    again, _ = four_bit_weights(four, compensate=False)
    for name, tensor in four.tensors.items():
        assert again.tensors[name] is tensor
        matrix = name.startswith("blk.") and "norm" not in name
        assert isinstance(tensor, QuantizedTensor) == matrix


def test_the_fake_rung_has_the_weights_of_the_container(checkpoint):
    four, _ = four_bit_weights(checkpoint, compensate=True)
    model = convert(four)
    weights = chosen_weights(model, checkpoint)
    assert len(weights) == 14
    for name, values in weights.items():
        assert np.array_equal(values.numpy(), four.tensors[name].dequantize())
    assert chosen_weights(model, four) == {} == chosen_weights(convert(checkpoint), checkpoint)
    tokens = torch.from_numpy(TOKENS[:128])
    lines = []
    results = [
        evaluate(m, checkpoint, tokens, window=64, table="integer", report=lines.append).perplexity
        for m in (model, convert(checkpoint))
    ]
    gaps = [abs(np.log(r["fake"] / r["golden"])) for r in results]
    assert max(gaps) < 0.01
    assert results[0]["fake"] != results[1]["fake"]


def test_rounding_is_worse_than_search_on_its_own_measure(checkpoint):
    errors = []
    for compensate in (False, True):
        four, _ = four_bit_weights(checkpoint, compensate=compensate)
        wrong = [
            np.square(t.dequantize() - checkpoint.tensors[name]).sum()
            for name, t in four.tensors.items()
            if isinstance(t, QuantizedTensor)
        ]
        errors.append(sum(wrong))
    assert errors[1] < 0.9 * errors[0]
