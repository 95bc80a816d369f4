"""What accompanies a beat of synapse memory on its way to the lanes."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data

from hw.encode.event import TIME_FIELDS
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams

#: Fields of an item that the lanes of ``spike`` must see, and their bits.
SPIKE_FIELDS = {"empty": 1, "negative": 1, "gap": 1, "gap_shift": 2, "restart": 1, "times16": 1}


def group_layout(params: CoreParams) -> data.StructLayout:
    """Describe a group as the scaler must know it.

    Members
    -------
    mantissa, shift, code_sum
        The block's scale and sum, as in :func:`hw.encode.event.event_layout`.
    first, last : unsigned(1)
        Group of the tile's first and of its last block.
    part : unsigned
        Part of the tile, where that is wider than the core.
    vector : unsigned
        Number of the vector, of a batch.
    """
    return data.StructLayout(
        {
            "mantissa": 2,
            "shift": 4,
            "code_sum": signed(params.code_sum_width),
            "first": 1,
            "last": 1,
            "part": range(params.sub_tiles),
            "vector": range(params.batch),
        }
    )


def beat_layout(params: CoreParams) -> data.StructLayout:
    """Describe the beat that leaves synapse memory in this cycle.

    Members
    -------
    scale : unsigned(1)
        Scales of the group that is handed over next.
    sums : unsigned(1)
        Row sums of that group.
    row : unsigned(1)
        An item for the lanes: usually a row of weights.
    last : unsigned(1)
        With this item the sums of the group that ``group`` describes are complete.
    group : group_layout
        Valid where ``last``.
    code : signed
        ``mac``: what the row is multiplied by; 0 for a group without events.
    empty, negative, gap, gap_shift, restart, times16
        ``spike``: as in :func:`hw.encode.event.event_layout`.
    line : unsigned(5)
        Of crossbars: number of the row in its group.
    level, coarse
        Of those whose arrays hold several groups: as in :func:`hw.encode.event.event_layout`.
    """
    if params.integrator == "mac":
        item = {"code": signed(params.code_width)}
    else:
        item = SPIKE_FIELDS | ({"line": range(BLOCK)} if params.crossbar else {})
        item |= TIME_FIELDS if params.shared > 1 else {}
    return data.StructLayout(
        {"scale": 1, "sums": 1, "row": 1, "last": 1, "group": group_layout(params), **item}
    )
