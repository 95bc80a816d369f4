"""Random converted models of odd sizes."""

from __future__ import annotations

import numpy as np

from hw.spec.formats import W4, W8, WeightFormat
from sw.convert.container import ConvertedModel, WeightMatrix
from sw.convert.defaults import default_quantizers
from sw.convert.weights import convert_norm, rope_table
from sw.load.checkpoint import LlamaConfig

TINY = LlamaConfig(
    layers=2,
    width=44,
    ffn_width=70,
    heads=6,
    kv_heads=2,
    head_width=10,
    vocabulary=53,
    context=75,
    rope_theta=100.0,
    rope_interleaved=True,
    norm_epsilon=1e-5,
    tied_head=True,
)


def random_matrix(
    rng: np.random.Generator, rows: int, inputs: int, weight_format: WeightFormat = W4
) -> WeightMatrix:
    """Random codes and mantissas; weights are of order 1 / sqrt(inputs)."""
    groups = -(-inputs // 32)
    low, high = (-8, 7) if weight_format is W4 else (-128, 127)
    offsets = rng.integers(-60, 61, (rows, groups), dtype=np.int8)
    deviation = 100 * (4.6 if weight_format is W4 else 74) * inputs**0.5
    exponent = -round(np.log2(deviation)) + rng.integers(-1, 2, rows)
    return WeightMatrix(
        format=weight_format,
        codes=rng.integers(low, high + 1, (rows, inputs), dtype=np.int8),
        d=rng.integers(-127, 128, (rows, groups), dtype=np.int8),
        b=offsets if weight_format is W4 else np.zeros_like(offsets),
        exponent=exponent.astype(np.int16),
    )


def random_model(config: LlamaConfig, seed: int = 0) -> ConvertedModel:
    """Make a converted model of random weights."""
    rng = np.random.default_rng(seed)
    attention = config.heads * config.head_width
    qkv = attention + 2 * config.kv_heads * config.head_width
    shapes = {
        "qkv": (qkv, config.width),
        "attn_output": (config.width, attention),
        "gate_up": (2 * config.ffn_width, config.width),
        "ffn_down": (config.width, config.ffn_width),
    }
    ends = ("embedding",) if config.tied_head else ("embedding", "head")
    matrices = {name: random_matrix(rng, config.vocabulary, config.width, W8) for name in ends}
    norms = {"output_norm": convert_norm(rng.uniform(0.5, 1.5, config.width))}
    for layer in range(config.layers):
        for name, shape in shapes.items():
            matrices[f"layers.{layer}.{name}"] = random_matrix(rng, *shape)
        for name in ("attn_norm", "ffn_norm"):
            norms[f"layers.{layer}.{name}"] = convert_norm(rng.uniform(0.5, 1.5, config.width))
    return ConvertedModel(
        name="random",
        config=config,
        matrices=matrices,
        norms=norms,
        rope=rope_table(config),
        residual_fraction=12,
        quantizers=default_quantizers(config.layers),
        tokenizer_spec={},
        source={},
    )
