"""What a core must have to run a model's tokens; one sentence for what it lacks."""

from __future__ import annotations

from hw.spec.params import CoreParams
from sw.compile.vector_layout import VectorLayout
from sw.convert.container import ConvertedModel
from sw.errors import UserError

#: Positions have 16 bits, and T = position + 1 as well.
_LONGEST_CONTEXT = 65535


def check_core(model: ConvertedModel, params: CoreParams, *, name: str) -> None:
    """Refuse a core that cannot run the model, whatever the context.

    Raises
    ------
    UserError
        The message names the field of the configuration and what is needed.
    """
    c, width = model.config, params.vector_width
    if not params.vector_words:
        raise UserError(
            f"configuration {name} has no vector memory, so that it runs no tokens; choose one "
            "with vector_words, e.g. mac8-token"
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


def longest_context(model: ConvertedModel, params: CoreParams, wanted: int | None) -> int:
    """Return the most tokens that model, core and user allow.

    Raises
    ------
    UserError
        If the user wants none.
    """
    if wanted is not None and wanted < 1:
        raise UserError(f"context must be at least 1 token, not {wanted}")
    tile = params.tile_lanes // 2
    shared = min(model.config.heads // model.config.kv_heads, params.batch)
    scores = params.max_outputs // (shared * tile) * tile
    allowed = min(model.config.context, params.max_inputs, scores, _LONGEST_CONTEXT)
    return min(allowed, wanted or allowed)


def check_vectors(params: CoreParams, vectors: VectorLayout, *, name: str, context: int) -> None:
    """Refuse what does not fit vector memory.

    Raises
    ------
    UserError
        The message names the field of the configuration and what is needed.
    """
    if vectors.words > params.vector_words:
        raise UserError(
            f"a context of {context} tokens needs vector_words of {vectors.words}, configuration "
            f"{name} has {params.vector_words}; shorten the context or choose a larger one"
        )


def check_memory(
    params: CoreParams, size: int, *, name: str, context: int, streamed: bool = False
) -> None:
    """Refuse so many bytes, of the model or two layers of it, if they do not fit device memory.

    Raises
    ------
    UserError
        The message names the field of the configuration and what is needed.
    """
    beat = params.beat_bits // 8
    what = "two layers" if streamed else "model"
    other = "" if streamed else ", stream the layers (generate --stream)"
    if size > params.memory_beats * beat:
        raise UserError(
            f"{what}, caches for {context} tokens and program need memory_beats of "
            f"{-(-size // beat)} or more, configuration {name} has {params.memory_beats}; shorten "
            f"the context{other} or choose a larger one"
        )
