"""What a core must have to run an encoder; one sentence for what it lacks."""

from __future__ import annotations

from hw.spec.formats import W8
from hw.spec.params import CoreParams
from sw.compile.encoder_layout import lay_out_encoder
from sw.convert.encoder import ConvertedEncoder
from sw.errors import UserError
from sw.golden.encoder_vector import EPSILON_LIMIT, LayerNorm


def check_encoder(model: ConvertedEncoder, params: CoreParams, *, name: str) -> None:
    """Refuse a core that cannot run the model, whatever the sentence.

    Raises
    ------
    UserError
        The message names the field of the configuration and what is needed.
    """
    c, width = model.config, params.vector_width
    if not params.encoder:
        raise UserError(
            f"configuration {name} runs no encoders; choose one with encoder, e.g. mac8-encoder"
        )
    for what, size in (
        ("heads", c.head_width),
        ("a feed-forward part", c.ffn_width),
        ("half tiles", params.tile_lanes // 2),
    ):
        if size % width:
            raise UserError(
                f"configuration {name} has vector_width {width}, which must divide {what} of "
                f"{size}; choose a smaller vector_width"
            )
    for matrix_name, matrix in model.matrices.items():
        if matrix.inputs > params.max_inputs:
            raise UserError(
                f"{matrix_name} has {matrix.inputs} inputs, configuration {name} takes at most "
                f"{params.max_inputs}; choose one with max_inputs of {matrix.inputs} or more"
            )
        tile = matrix.format.outputs(params.tile_lanes)
        if matrix_name.endswith("qkv") and c.width % tile:
            raise UserError(
                f"queries of {c.width} rows must be whole tiles, configuration {name} has tiles "
                f"of {tile}; choose fewer tile_lanes"
            )
    for norm, gains in model.norms.items():
        made = LayerNorm.of(
            *gains, model.betas[norm], epsilon=c.norm_epsilon, fraction=model.residual_fraction
        )
        if made.epsilon >= EPSILON_LIMIT:
            raise UserError(
                f"{norm} has an epsilon of {made.epsilon} units, at most {EPSILON_LIMIT - 1} are "
                "possible; convert with a smaller residual_fraction"
            )


def longest_sentence(
    model: ConvertedEncoder, params: CoreParams, wanted: int | None, *, name: str
) -> int:
    """Return the most tokens that model, core and user allow.

    Raises
    ------
    UserError
        If the user wants none, or the core can hold none.
    """
    if wanted is not None and wanted < 1:
        raise UserError(f"context must be at least 1 token, not {wanted}")
    tile = W8.outputs(params.tile_lanes)
    scores = params.max_outputs // tile * tile
    most = min(model.config.context, params.max_inputs, scores, wanted or model.config.context)
    for tokens in range(most, 0, -1):
        needed = lay_out_encoder(model, params, tokens=tokens).words
        if needed <= params.vector_words:
            return tokens
    raise UserError(
        f"a sentence of one token needs vector_words of {needed}, configuration {name} has "
        f"{params.vector_words}; choose a larger one"
    )


def check_fits(params: CoreParams, size: int, *, name: str) -> None:
    """Refuse so many bytes if they do not fit device memory.

    Raises
    ------
    UserError
        The message names the field of the configuration and what is needed.
    """
    beat = params.beat_bits // 8
    if size > params.memory_beats * beat:
        raise UserError(
            f"model, caches and programs need memory_beats of {-(-size // beat)} or more, "
            f"configuration {name} has {params.memory_beats}; choose a larger one"
        )
