"""The decoder: batches against single tokens, exchanged products, counters and refusals."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from sw.errors import UserError
from sw.golden.codes import encode
from sw.golden.decoder import GoldenModel
from sw.golden.float_model import FloatLlama
from sw.golden.linear import GoldenLinear, input_site
from sw.golden.matrix import Matrix
from tests.unit.golden.models import TINY, random_model
from tests.unit.golden.slow_decoder import SlowDecoder

TOKENS = np.random.default_rng(1).integers(0, TINY.vocabulary, 71).tolist()
LINEAR = [name for name, table in TABLES.items() if table.linear]


@pytest.mark.parametrize("table", LINEAR)
def test_prefill_equals_step_by_step(tiny_model, table):
    model = GoldenModel(tiny_model, table=table, lanes=8)
    together = model.prefill(TOKENS)  # more than one batch
    counted = dict(model.counters)
    model.reset()
    alone = torch.stack([model.step(token) for token in TOKENS])
    assert torch.equal(together, alone)
    assert model.counters == counted
    assert together.shape == (71, TINY.vocabulary)
    assert model.position == 71


@pytest.mark.parametrize("table", LINEAR)
@pytest.mark.parametrize("interleaved, tied", [(True, True), (False, False)])
def test_decoder_equals_the_text_number_by_number(table, interleaved, tied):
    config = dataclasses.replace(TINY, rope_interleaved=interleaved, tied_head=tied)
    model = random_model(config, seed=len(table))
    slow = SlowDecoder(model, table)
    expected = [slow.step(token) for token in TOKENS[:4]]
    assert GoldenModel(model, table=table).prefill(TOKENS[:4]).tolist() == expected


def test_prefill_in_parts(tiny_model):
    model = GoldenModel(tiny_model)
    together = model.prefill(TOKENS)
    model.reset()
    parts = [model.prefill(TOKENS[:3]), model.prefill(TOKENS[3:40]), model.prefill(TOKENS[40:])]
    assert torch.equal(torch.cat(parts), together)


def test_only_the_last_token_meets_the_head(tiny_model):
    model = GoldenModel(tiny_model, lanes=8)
    events = "spikes", "silent", "integer_events"
    together, counts = model.prefill(TOKENS), []
    counts.append(sum(model.counters[name] for name in events))
    model.reset()
    last = model.prefill(TOKENS, last_only=True)
    counts.append(sum(model.counters[name] for name in events))
    assert torch.equal(last, together[-1:]) and model.position == 71
    assert counts[0] - counts[1] == 70 * TINY.width


def test_tokens_of_a_batch_share_what_is_read(tiny_model):
    reads = []
    for batch in (1, 5):
        model = GoldenModel(tiny_model, lanes=8, memory="axi", batch=batch)
        logits = model.prefill(TOKENS[:10])
        reads.append((logits.tolist(), model.counters.pop("rows_read"), model.counters["spikes"]))
    assert reads[0][0] == reads[1][0] and reads[0][2] == reads[1][2]
    assert reads[0][1] > 2 * reads[1][1]


def test_the_future_changes_nothing(tiny_model):
    model = GoldenModel(tiny_model)
    together = model.prefill(TOKENS)
    model.reset()
    assert torch.equal(model.prefill(TOKENS[:20]), together[:20])


@pytest.mark.parametrize("interleaved, tied", [(True, True), (False, False)])
def test_logits_follow_the_float_model(interleaved, tied):
    config = dataclasses.replace(TINY, rope_interleaved=interleaved, tied_head=tied)
    model = random_model(config, seed=9)
    expected = float_logits(model, TOKENS)
    for table, most in (("integer", 0.05), ("companded", 0.25), ("ttfs", 0.4)):
        logits = GoldenModel(model, table=table).prefill(TOKENS) / 4096
        error = (logits - expected).square().mean().sqrt() / expected.std()
        assert 0 < error < most


def float_logits(model, tokens):
    """Logits of the float model with the converted weights."""
    c = model.config
    tensors = {"token_embd": model.matrices["embedding"], "output": model.head}
    tensors = {name: values(matrix) for name, matrix in tensors.items()}
    if c.tied_head:
        del tensors["output"]
    gains = {"output_norm": "output_norm"}
    for n in range(c.layers):
        for name in ("attn_norm", "ffn_norm"):
            gains[f"blk.{n}.{name}"] = f"layers.{n}.{name}"
        qkv, gate_up, output, down = (
            values(model.matrices[f"layers.{n}.{name}"])
            for name in ("qkv", "gate_up", "attn_output", "ffn_down")
        )
        heads = [c.heads * c.head_width, *[c.kv_heads * c.head_width] * 2]
        parts = (*qkv.split(heads), *gate_up.chunk(2), output, down)
        names = ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up", "attn_output", "ffn_down")
        tensors |= {f"blk.{n}.{name}": part for name, part in zip(names, parts, strict=True)}
    for name, norm in gains.items():
        gamma, fraction = model.norms[norm]
        tensors[name] = torch.from_numpy(gamma.astype(np.float32)) * 2.0**-fraction
    reference = FloatLlama(c)
    reference.load_state_dict({f"{name}.weight": tensor for name, tensor in tensors.items()})
    with torch.no_grad():
        return reference(torch.tensor([tokens]))[0]


def values(weights):
    powers = torch.from_numpy(2.0 ** weights.exponent.astype(np.float64))
    return (Matrix(weights).values * powers[:, None]).float()


def test_linear_is_exchangeable(tiny_model):
    """The same decoder with every product made elsewhere, from what the callable is given."""
    calls = []

    def linear(name, matrix, x):
        calls.append(name)
        assert x.shape == (matrix.weights.inputs,) and x.abs().max() <= 32767
        quantizer = tiny_model.quantizer(input_site(name), "companded")
        encoded = encode(x, table=TABLES["companded"], constant=quantizer.constant)
        return matrix.matvec_groups(encoded).numpy(), int(encoded.base)

    model = GoldenModel(tiny_model, linear=linear)
    assert torch.equal(model.prefill(TOKENS[:5]), GoldenModel(tiny_model).prefill(TOKENS[:5]))
    layers = [
        f"layers.{n}.{m}" for n in range(2) for m in ("qkv", "attn_output", "gate_up", "ffn_down")
    ]
    assert set(calls) == {*layers, "head"} and len(calls) == 5 * 9
    assert model.counters["spikes"] == 0


def test_every_input_is_counted_once(tiny_model):
    model = GoldenModel(tiny_model, lanes=3)
    model.prefill(TOKENS[:4])
    counts = model.counters
    inputs = TINY.layers * (44 + 60 + 44 + 70) + 44
    assert counts["spikes"] + counts["silent"] + counts["integer_events"] == 4 * inputs
    assert counts["window_steps"] == 4 * 16 * (TINY.layers * (2 + 2 + 2 + 3) + 2)
    assert counts["beats_read"] > counts["rows_read"] > counts["spikes"]
    assert counts["cycles"] is None
    assert GoldenModel(tiny_model).counters["rows_read"] is None


def test_golden_linear_as_a_part_of_another(tiny_model):
    golden = GoldenLinear(tiny_model, table=TABLES["companded"], lanes=8)
    model = GoldenModel(tiny_model, linear=golden)
    reference = GoldenModel(tiny_model, lanes=8)
    assert torch.equal(model.prefill(TOKENS[:3]), reference.prefill(TOKENS[:3]))
    assert golden.counters == reference.counters


def test_silence_thresholds_and_levels_reach_the_encoder(tiny_model):
    def with_quantizer(table, **changes):
        quantizers = {
            tensor: {**tables, table: dataclasses.replace(tables[table], **changes)}
            for tensor, tables in tiny_model.quantizers.items()
        }
        model = GoldenModel(dataclasses.replace(tiny_model, quantizers=quantizers), table=table)
        model.prefill(TOKENS[:9])
        return model.counters

    usual = with_quantizer("companded")
    assert with_quantizer("companded", threshold=12)["silent"] > usual["silent"]
    assert (
        with_quantizer("mttfs", silent_level=8)["silent"]
        > with_quantizer("mttfs", silent_level=3)["silent"]
    )


def test_silent_weights_give_zero_logits(tiny_model):
    matrices = {
        name: dataclasses.replace(matrix, codes=np.zeros_like(matrix.codes), b=matrix.b * 0)
        for name, matrix in tiny_model.matrices.items()
    }
    model = GoldenModel(dataclasses.replace(tiny_model, matrices=matrices))
    assert model.prefill(TOKENS).eq(0).all()


def test_loud_weights_saturate_alike(tiny_model):
    matrices = {
        name: dataclasses.replace(matrix, exponent=matrix.exponent + 14)
        for name, matrix in tiny_model.matrices.items()
    }
    model = GoldenModel(dataclasses.replace(tiny_model, matrices=matrices))
    together = model.prefill(TOKENS)
    model.reset()
    assert torch.equal(torch.stack([model.step(token) for token in TOKENS]), together)
    assert together.abs().max() == 2**23 - 1


def test_reset_cache_keeps_the_counters(tiny_model):
    model = GoldenModel(tiny_model)
    first = model.prefill(TOKENS[:3])
    spikes = model.counters["spikes"]
    model.reset_cache()
    assert model.position == 0 and torch.equal(model.prefill(TOKENS[:3]), first)
    assert model.counters["spikes"] == 2 * spikes


def test_refusals(tiny_model):
    with pytest.raises(UserError, match="must be one of ttfs8, .*, not 'octave'"):
        GoldenModel(tiny_model, table="octave")
    model = GoldenModel(tiny_model)
    with pytest.raises(UserError, match="at least one token"):
        model.prefill([])
    with pytest.raises(UserError, match="token ids must be 0..52, not 53"):
        model.prefill([1, 53])
    with pytest.raises(UserError, match="token ids must be 0..52, not -1"):
        model.step(-1)
    model.prefill([0] * 70)
    with pytest.raises(UserError, match="would have 76 tokens, the model's context is 75"):
        model.prefill([0] * 6)
    assert model.prefill([0] * 5).shape == (5, 53)
