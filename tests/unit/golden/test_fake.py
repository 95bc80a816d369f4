"""Fake quantization against the integer rules of the specification."""

import dataclasses

import numpy as np
import pytest
import torch

from hw.spec.codes import TABLES
from hw.spec.scales import (
    CONSTANT_FRACTION,
    MEAN_TO_SCALE,
    SCALE_FRACTION,
    base_exponent,
    clamp,
    scale_index,
)
from sw.golden.fake import FakeQuantizers, block_scale, cache_scale, grid_scale
from sw.golden.fake_weights import quantize_q4_1, quantize_q8_0, row_unit, stored_weight
from sw.golden.float_model import FloatLlama
from sw.load.checkpoint import Checkpoint, LlamaConfig, QuantizedTensor

LINEAR_TABLES = [name for name, table in TABLES.items() if table.linear]
CONFIG = LlamaConfig(
    layers=2,
    width=64,
    ffn_width=96,
    heads=3,
    kv_heads=1,
    head_width=32,
    vocabulary=37,
    context=19,
    rope_theta=100.0,
    rope_interleaved=True,
    norm_epsilon=1e-5,
    tied_head=True,
)


def random_integers(*shape: int, seed: int) -> np.ndarray:
    """Heavy-tailed quantizer inputs whose blocks differ in size."""
    generator = np.random.default_rng(seed)
    spread = 2.0 ** generator.integers(0, 8, size=(*shape[:-1], 1))
    x = np.rint(generator.standard_t(3, size=shape) * spread)
    return np.clip(x, -2047, 2047).astype(np.int64)


def decode(x: int, scale: int, table_name: str, silent_level: int, theta: int) -> int:
    """Code one element by sections 1 and 2 of the arithmetic."""
    table = TABLES[table_name]
    t = 128 * abs(x) // scale
    sign = -1 if x < 0 else 1
    if table.zero == 0:
        return 0 if t < theta else sign * table.magnitude(t)[0]
    silent = silent_level - table.zero
    return silent if abs(sign * t - 8 * silent) < theta else sign * ((t + 4) >> 3)


@pytest.mark.parametrize("constant", [275, 440])
def test_block_scale_equals_the_integer_rule(constant: int) -> None:
    # Large enough for the integer rule's least scale, 1/4, not to matter.
    x = random_integers(50, 7, 32, seed=1).clip(-127, 127) * 16
    x[:, 3], x[:, 5] = 16, x[:, 5] * 16  # more than 8 octaves apart
    c = constant * 32 / MEAN_TO_SCALE / 2 ** (CONSTANT_FRACTION + SCALE_FRACTION)
    for vector, got in zip(x, block_scale(torch.from_numpy(x).float(), c), strict=True):
        indices = [
            scale_index(int(abs(block).sum()), int(abs(block).max()), constant) for block in vector
        ]
        base = base_exponent(indices)
        wanted = [clamp(index, base) * 2**base / 16 for index in indices]
        assert got[:, 0].tolist() == wanted


@pytest.mark.parametrize("table", LINEAR_TABLES)
@pytest.mark.parametrize("eighths", [4, 9])
def test_codes_equal_the_integer_rule(table: str, eighths: int) -> None:
    x = random_integers(20, 3 * 32, seed=2)
    silent_level = 9 if TABLES[table].masked else TABLES[table].silent_level
    quantizers = FakeQuantizers(
        table=table,
        thresholds={"ffn_down": eighths / 8},
        silent_levels={"ffn_down": silent_level},
    )
    values = torch.from_numpy(x).float()
    scales = block_scale(values.unflatten(-1, (3, 32)), quantizers.constants["ffn_down"])
    scales = scales.expand(20, 3, 32).flatten(1)
    got = quantizers.linear_input(values, "ffn_down") / scales
    wanted = [
        [decode(v, int(16 * s), table, silent_level, eighths) for v, s in zip(*row, strict=True)]
        for row in zip(x.tolist(), scales.tolist(), strict=True)
        if all(s * 16 == int(s * 16) for s in row[1])
    ]
    assert len(wanted) > 5
    whole = (scales * 16 == (scales * 16).floor()).all(-1)
    assert torch.equal(got[whole].round(), torch.tensor(wanted).float())
    torch.testing.assert_close(got, got.round())


def test_companded_decodes_to_its_levels_and_integers() -> None:
    # The mean of the block makes its scale exactly 1.
    x = torch.zeros(32)
    x[:8] = torch.tensor([0.4, -0.5, 11.9, 12.0, 19.9, -20.0, 60.6, 53.4])
    scale = block_scale(x[None], 1.0)
    assert scale.item() == 1.0
    got = FakeQuantizers().linear_input(x, "attn_q")[:8]
    assert got.tolist() == [0, -1, 11, 13, 19, -20, 61, 53]
    quiet = FakeQuantizers(thresholds={"attn_q": 12.5}).linear_input(x, "attn_q")[:8]
    assert quiet.tolist() == [0, 0, 0, 0, 19, -20, 61, 53]


def test_partial_blocks_are_padded_with_zeros() -> None:
    x = torch.randn(3, 41, generator=torch.Generator().manual_seed(5))
    padded = torch.nn.functional.pad(x, (0, 23))
    quantizers = FakeQuantizers()
    assert torch.equal(
        quantizers.linear_input(x, "head"), quantizers.linear_input(padded, "head")[:, :41]
    )


def test_grid_scale_and_cache_scale() -> None:
    wanted = torch.tensor([4.0, 4.49, 4.5, 7.49, 7.5, 0.9])
    assert grid_scale(wanted, 3).tolist() == [4, 4, 5, 7, 8, 0.875]
    assert grid_scale(wanted, 3, up=True).tolist() == [4, 5, 5, 8, 8, 1]
    x = torch.tensor([[127.0 * 65, 1.0], [127 * 65 + 1, 0], [0, 0]])
    assert cache_scale(x)[:2, 0].tolist() == [65, 66]
    assert torch.equal(FakeQuantizers().key(torch.zeros(1, 1, 1, 32)), torch.zeros(1, 1, 1, 32))


def test_values_and_keys_have_8_bits() -> None:
    v = torch.randn(2, 1, 5, 32, generator=torch.Generator().manual_seed(6))
    codes = FakeQuantizers().value(v) / cache_scale(v)
    torch.testing.assert_close(codes, codes.round())
    assert codes.abs().max() <= 127


def test_probabilities_times_value_scales_lie_on_the_octave_ladder() -> None:
    generator = torch.Generator().manual_seed(7)
    p = torch.rand(2, 6, 9, 9, generator=generator) ** 6
    v = torch.randn(2, 3, 9, 32, generator=generator) * torch.rand(2, 3, 9, 1, generator=generator)
    scale = cache_scale(v)[..., 0].repeat_interleave(2, 1)[:, :, None, :]
    weighted = p * scale
    codes = FakeQuantizers().probability(p, v) * scale
    codes = codes / weighted.amax(-1, keepdim=True) * 255
    torch.testing.assert_close(codes, codes.round())
    exact = (weighted / weighted.amax(-1, keepdim=True) * 255).round()
    wanted = [TABLES["octave"].magnitude(8 * int(code))[0] for code in exact.flatten()]
    assert (codes.round().flatten() == torch.tensor(wanted)).float().mean() > 0.999
    assert codes.max().round() == 255
    quiet = FakeQuantizers(thresholds={"probability": 2}).probability(p, v)
    assert ((quiet == 0) == (exact < 2)).float().mean() > 0.999


def test_rows_share_a_unit_and_mantissas_have_8_bits() -> None:
    w = torch.randn(5, 96, generator=torch.Generator().manual_seed(8)) * torch.tensor(
        [[1.0], [1e-3], [7.0], [0.0], [1e2]]
    )
    codes, scale, offset = quantize_q4_1(w)
    assert set(codes.unique().tolist()) <= set(range(-8, 8))
    for part in (scale[..., 0], offset[..., 0]):
        mantissas = part / row_unit(scale[..., 0], offset[..., 0])
        assert torch.equal(mantissas, mantissas.round())
        assert mantissas.abs().max() <= 127
    error = (codes * scale + offset).flatten(1) - w
    assert (error.abs().amax(-1) <= 0.6 * scale.amax((-1, -2)) + 1e-12).all()
    codes, scale = quantize_q8_0(w)
    assert codes.abs().max() == 127
    assert ((codes * scale).flatten(1) - w).abs().amax() <= 0.51 * scale.max()


def test_least_unit_that_holds_the_largest() -> None:
    parts = torch.tensor([[127.0], [127.5], [-127.49], [63.75], [0.0]])
    assert row_unit(parts)[:, 0].tolist() == [1, 2, 1, 1, 1]


def test_stored_weights_keep_their_codes() -> None:
    generator = np.random.default_rng(9)
    tensor = QuantizedTensor(
        kind="Q4_1",
        codes=generator.integers(-8, 8, size=(3, 64)).astype(np.int8),
        scale=generator.uniform(0.01, 0.02, size=(3, 2)).astype(np.float32),
        offset=generator.normal(size=(3, 2)).astype(np.float32) / 50,
    )
    largest = np.abs([tensor.scale, tensor.offset]).max()
    got = stored_weight(tensor).numpy()
    assert abs(got - tensor.dequantize()).max() <= largest / 127 * 9


def make_model() -> FloatLlama:
    return FloatLlama(CONFIG, generator=torch.Generator().manual_seed(10))


def test_gradients_pass_straight_through() -> None:
    tokens = torch.arange(19)[None]
    gradients = []
    for quantizers in (None, FakeQuantizers()):
        model = make_model()
        model.quantizers = quantizers or model.quantizers
        model(tokens).logsumexp(-1).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.95


def test_fake_model_is_near_the_float_model() -> None:
    model, tokens = make_model(), torch.arange(19)[None]
    wanted = model(tokens)
    model.quantizers = FakeQuantizers()
    relative = (model(tokens) - wanted).norm() / wanted.norm()
    assert 0.001 < relative < 0.3


def test_checkpoint_weights_are_final() -> None:
    model = make_model()
    tensors = {name: p.detach().numpy() for name, p in model.named_parameters()}
    checkpoint = Checkpoint(
        name="odd",
        config=dataclasses.replace(CONFIG),
        tensors=tensors,
        tokenizer=None,
        tokenizer_spec={},
        sha256="",
    )
    quantizers = FakeQuantizers.from_checkpoint(checkpoint, table="signed8")
    name = "blk.1.ffn_up.weight"
    w = torch.from_numpy(tensors[name])
    assert quantizers.weight(w, name) is quantizers.weights[name]
    assert (quantizers.weights[name] - w).abs().max() < w.abs().max() / 100
    assert "output_norm.weight" not in quantizers.weights


def test_messages() -> None:
    with pytest.raises(ValueError, match="wanted a code table of ttfs8, .*; got 'octave'"):
        FakeQuantizers(table="octave")
    with pytest.raises(ValueError, match="wanted a site of attn_q, .*; got 'ffn_up'"):
        FakeQuantizers(constants={"ffn_up": 1.0})
