"""Which tokens a device can make next."""

from __future__ import annotations

from collections.abc import Sequence

from sw.compile.program import DeviceProgram
from sw.errors import UserError


def check_tokens(
    program: DeviceProgram, tokens: Sequence[int], *, position: int, length: int
) -> None:
    """Refuse tokens that cannot follow.

    Parameters
    ----------
    program : DeviceProgram
        Says which tokens there are, and how many.
    tokens : sequence of int
        Ids.
    position : int
        Where the first one is to stand.
    length : int
        Tokens in the caches.

    Raises
    ------
    UserError
        If there is no such token, or it cannot stand there.
    """
    for token in tokens:
        if not 0 <= token < program.vocabulary:
            raise UserError(
                f"token ids must be 0..{program.vocabulary - 1}, not {token}: use the model's own "
                "tokenizer"
            )
    last = position + len(tokens) - 1
    if last >= program.context:
        raise UserError(
            f"position {last} is beyond the context of {program.context} tokens: shorten the text "
            "or start anew"
        )
    if not 0 <= position <= length:
        raise UserError(f"position must be 0..{length}, not {position}: tokens follow each other")
