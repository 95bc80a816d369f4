"""Random converted encoders of odd sizes."""

from __future__ import annotations

import numpy as np

from hw.spec.formats import W8
from sw.convert.defaults import default_quantizers
from sw.convert.encoder import ConvertedEncoder, fixed_point
from sw.convert.weights import convert_norm
from sw.load.encoder_config import EncoderConfig
from tests.unit.golden.models import random_matrix

TINY_ENCODER = EncoderConfig(
    layers=2,
    width=96,
    ffn_width=72,
    heads=3,
    vocabulary=53,
    context=40,
    labels=3,
    pooling="mean",
    norm_epsilon=1e-12,
)


def random_encoder(
    config: EncoderConfig = TINY_ENCODER, seed: int = 0, *, residual_fraction: int = 12
) -> ConvertedEncoder:
    """Make a converted encoder of random weights."""
    rng = np.random.default_rng(seed)
    width, ffn_width = config.width, config.ffn_width
    shapes = {
        "qkv": (3 * width, width),
        "attn_output": (width, width),
        "ffn_up": (ffn_width, width),
        "ffn_down": (width, ffn_width),
    }
    matrices = {"embedding": random_matrix(rng, config.vocabulary, width, W8)}
    if config.labels:
        matrices["head"] = random_matrix(rng, config.labels, width, W8)
    norms = ["embedding_norm"]
    for layer in range(config.layers):
        for name, shape in shapes.items():
            matrices[f"layers.{layer}.{name}"] = random_matrix(rng, *shape)
        norms += [f"layers.{layer}.attn_norm", f"layers.{layer}.ffn_norm"]
    biases = {}
    for name, matrix in matrices.items():
        if name != "embedding":
            into_residual = name.endswith(("attn_output", "ffn_down"))
            most = residual_fraction if into_residual else 12
            # Those of the first layer need more than 15 bits.
            spread = 12 if name.startswith("layers.0") else 0.3
            biases[name] = fixed_point(rng.normal(0, spread, matrix.rows), most)
    return ConvertedEncoder(
        name="random",
        config=config,
        matrices=matrices,
        biases=biases,
        norms={name: convert_norm(rng.uniform(0.5, 1.5, width)) for name in norms},
        betas={name: fixed_point(rng.normal(0, 0.5, width), residual_fraction) for name in norms},
        positions=fixed_point(rng.normal(0, 0.5, (config.context, width)), residual_fraction),
        residual_fraction=residual_fraction,
        quantizers=default_quantizers(config.layers),
        tokenizer_spec={},
        source={},
    )


def random_sentence(length: int, config: EncoderConfig = TINY_ENCODER) -> list[int]:
    """Ids of a sentence."""
    return np.random.default_rng(length).integers(0, config.vocabulary, length).tolist()
