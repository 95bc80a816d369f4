"""Integer model of the vector encoder, composed of its components' models."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from hw.encode import (
    block_summary,
    block_sums,
    classifier,
    digits,
    event_counters,
    event_sorter,
    quotient,
    scale_memory,
    scheduler,
    shared_sums,
)
from hw.spec.codes import BLOCK, CodeTable
from hw.spec.scales import scale_index


class Item(NamedTuple):
    """One item for the ``mac`` lanes; see :func:`hw.encode.event.event_layout`.

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
    items : tuple of Item or tuple of scheduler.Item
        What one replay streams: for ``mac`` or for ``spike``.
    base : int
        Base exponent E.
    counts : Counts
        Event counters.
    digits : tuple of (int, int)
        Events of every block in the coarse and the fine window.
    """

    items: tuple[Item, ...] | tuple[scheduler.Item, ...]
    base: int
    counts: event_counters.Counts
    digits: tuple[tuple[int, int], ...]


def encode(
    values: Sequence[int],
    table: CodeTable,
    *,
    constant: int,
    threshold: int,
    silent: int | None = None,
    codes: bool = False,
    fixed: bool = False,
    integrator: str = "mac",
    shared: int = 1,
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
    silent : int, optional
        Silent level m; the table's default if absent.
    codes : bool
        True in the test mode, where z = 0.
    fixed : bool
        True where every block has the scale 16.
    integrator : str
        ``"mac"`` or ``"spike"``.
    shared : int
        Neighbouring blocks that share a scale.

    Returns
    -------
    Encoded
        Items, scales and counters.
    """
    blocks = [values[i : i + BLOCK] for i in range(0, len(values), BLOCK)]
    base, scales = 0, [(0, 0)] * len(blocks)
    if not (codes or fixed):
        sums = shared_sums.model([block_sums.model(block) for block in blocks], shared)
        base, scales = scale_memory.model([scale_index(*pair, constant) for pair in sums])

    classified = []
    for block, (mantissa, shift) in zip(blocks, scales, strict=True):
        scale = quotient.UNIT_SCALE if codes or fixed else 4 * (base + shift) + mantissa
        classified.append(
            [
                classifier.model(
                    *quotient.model(value, scale), table, threshold, silent=silent, codes=codes
                )
                for value in block
            ]
        )

    split = [[digits.model(code) for code in block] for block in classified]
    return Encoded(
        items=tuple(_items(classified, scales, integrator)),
        base=base,
        counts=event_counters.model(classified),
        digits=tuple(
            (sum(c.coarse != 0 for c in block), sum(c.fine != 0 for c in block)) for block in split
        ),
    )


def _items(classified, scales, integrator):
    headers = [
        (*scale, block_summary.model(block, integrator)[0])
        for block, scale in zip(classified, scales, strict=True)
    ]
    if integrator == "spike":
        return scheduler.model(
            [
                scheduler.Block(*header, event_sorter.model(block))
                for header, block in zip(headers, classified, strict=True)
            ]
        )
    items = []
    for number, (block, header) in enumerate(zip(classified, headers, strict=True)):
        events = [(row, code.level) for row, code in enumerate(block) if not code.silent]
        for i, (row, code) in enumerate(events or [(0, 0)]):
            ends = (not events, i + 1 >= len(events), number + 1 == len(classified))
            items.append(Item(row, code, *ends, *header))
    return items
