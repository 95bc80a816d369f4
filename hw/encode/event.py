"""What flows from the event encoder to the synapse array: AER events, block by block."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream

from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams


def event_layout(params: CoreParams) -> data.StructLayout:
    """One item of an event stream.

    A block is a run of items that ends with ``last``. A block without events is a single item with
    ``empty``. The block's scale and sum stand beside each of its items.

    Members
    -------
    row : unsigned(5)
        Row of the group: the input's place in its block (the AER address).
    code : signed
        Decoded value relative to the silent one, by which the row is multiplied.
    empty : unsigned(1)
        No row fires; ``row`` and ``code`` mean nothing.
    last : unsigned(1)
        Last item of the block.
    last_block : unsigned(1)
        The block is the vector's last.
    mantissa : unsigned(2)
        Mantissa of the block's relative scale, minus 4.
    shift : unsigned(4)
        Exponent of the block's relative scale, 0..8.
    code_sum : signed
        Sum X of the block's decoded codes.
    """
    return data.StructLayout(
        {
            "row": range(BLOCK),
            "code": signed(params.code_width),
            "empty": 1,
            "last": 1,
            "last_block": 1,
            "mantissa": 2,
            "shift": 4,
            "code_sum": signed(params.code_sum_width),
        }
    )


def EventSignature(params: CoreParams) -> stream.Signature:  # noqa: N802 - reads as a signature
    """Stream of events; see :func:`event_layout`."""
    return stream.Signature(event_layout(params))
