"""What accompanies a beat of synapse memory on its way to the lanes."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data

from hw.spec.params import CoreParams


def group_layout(params: CoreParams) -> data.StructLayout:
    """Describe a group as the scaler must know it.

    Members
    -------
    mantissa, shift, code_sum
        The block's scale and sum, as in :func:`hw.encode.event.event_layout`.
    first, last : unsigned(1)
        First and last group of the tile.
    """
    return data.StructLayout(
        {
            "mantissa": 2,
            "shift": 4,
            "code_sum": signed(params.code_sum_width),
            "first": 1,
            "last": 1,
        }
    )


def beat_layout(params: CoreParams) -> data.StructLayout:
    """Describe the beat that leaves synapse memory in this cycle.

    Members
    -------
    scale : unsigned(1)
        Scales of the group that follows.
    row : unsigned(1)
        A row of weights, to be multiplied by ``code``; code 0 for a group without events.
    code : signed
        Decoded value of the event.
    last : unsigned(1)
        Last row of the group that ``group`` describes.
    group : group_layout
        Valid where ``last``.
    """
    return data.StructLayout(
        {
            "scale": 1,
            "row": 1,
            "code": signed(params.code_width),
            "last": 1,
            "group": group_layout(params),
        }
    )
