"""Integer model of the vector encoder, composed of its components' models."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from hw.encode import (
    block_scale,
    block_summary,
    classifier,
    event_counters,
    event_sorter,
    quotient,
    scale_memory,
)
from hw.spec.codes import BLOCK, CodeTable


class Item(NamedTuple):
    """One item of the event stream; see :func:`hw.encode.event.event_layout`.

    ``row`` and ``code`` are 0 where a block is empty; the gateware's mean nothing there.
    """

    row: int
    code: int
    empty: bool
    last: bool
    last_block: bool
    mantissa: int
    shift: int
    code_sum: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """An encoded vector.

    Attributes
    ----------
    items : tuple of Item
        What one replay streams.
    base : int
        Base exponent E.
    counts : Counts
        Event counters.
    events : tuple of int
        Events of every block.
    """

    items: tuple[Item, ...]
    base: int
    counts: event_counters.Counts
    events: tuple[int, ...]


def encode(
    values: Sequence[int],
    table: CodeTable,
    *,
    constant: int,
    threshold: int,
    codes: bool = False,
) -> Encoded:
    """Encode a vector.

    Parameters
    ----------
    values : sequence of int
        Elements, -32767..32767; decoded values -255..255 in the test mode.
    table : CodeTable
        A table of ``SUPPORTED_TABLES``.
    constant : int
        Scale constant, 12 bits.
    threshold : int
        Silence threshold in 1/8 of the scale, 8 bits.
    codes : bool
        True in the test mode.

    Returns
    -------
    Encoded
        Events, scales and counters.
    """
    blocks = [values[i : i + BLOCK] for i in range(0, len(values), BLOCK)]
    base, scales = 0, [(0, 0)] * len(blocks)
    if not codes:
        base, scales = scale_memory.model([block_scale.model(b, constant) for b in blocks])

    classified = []
    for block, (mantissa, shift) in zip(blocks, scales, strict=True):
        scale = quotient.UNIT_SCALE if codes else 4 * (base + shift) + mantissa
        quotients = [quotient.model(value, scale) for value in block]
        classified.append(
            [classifier.model(*pair, table, threshold, codes=codes) for pair in quotients]
        )

    items = []
    for number, (block, scale) in enumerate(zip(classified, scales, strict=True)):
        code_sum, count = block_summary.model(block)
        for i, (row, code) in enumerate(event_sorter.model(block) or [(0, 0)]):
            ends = (count == 0, i + 1 >= count, number + 1 == len(blocks))
            items.append(Item(row, code, *ends, *scale, code_sum))
    return Encoded(
        items=tuple(items),
        base=base,
        counts=event_counters.model(classified),
        events=tuple(block_summary.model(block)[1] for block in classified),
    )
