"""What flows from the event encoder to the synapse array: AER events, block by block."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream

from hw.encode.digits import LARGEST
from hw.spec.codes import BLOCK
from hw.spec.params import CoreParams

#: When a row fires: its level, and in which window.
TIME_FIELDS = {"level": range(LARGEST + 1), "coarse": 1}


def event_layout(params: CoreParams) -> data.StructLayout:
    """One item of an event stream; ``params.integrator`` decides what it holds.

    Members
    -------
    row : unsigned(5)
        Row of the group: the input's place in its block (the AER address).
    empty : unsigned(1)
        No row fires; ``row``, ``code`` and ``negative`` mean nothing.
    mantissa : unsigned(2)
        Mantissa of the relative scale of the block that ends with this item, minus 4. For ``mac``
        this and the next three stand beside every item of the block, for ``spike`` they mean
        nothing elsewhere.
    shift : unsigned(4)
        Exponent of that scale, 0..8.
    code_sum : signed
        Sum X of that block's decoded codes.
    last_block : unsigned(1)
        That block is the vector's last.

    Of the ``mac`` integrator, where a block is a run of items, a single one if nothing fires:

    code : signed
        Level of the event relative to the silent one, v - m, by which the row is multiplied.
    last : unsigned(1)
        Last item of the block.

    Of the ``spike`` integrator, where an item is what the lanes do to the current I and the
    potential V in one cycle, in this order:

    times16 : unsigned(1)
        V is multiplied by 16: the coarse window is over, and its last gap has been added.
    gap : unsigned(1)
        ``V += I << gap_shift``: some time steps pass.
    gap_shift : unsigned(2)
        0, 1 or 2, for 1, 2 or 4 steps of level.
    ends_group : unsigned(1)
        V is the sum of the block before the one that this item belongs to. It is handed to the
        scaler; V restarts at 0. The first item of a vector lacks it, as nothing is before it; the
        last one, an ``empty`` flush, has ``last_block`` too. A row that fires in the same item
        belongs to the block that begins.
    restart : unsigned(1)
        I is 0 from here on: a block, or its fine window, begins.
    negative : unsigned(1)
        ``I -= w`` instead of ``I += w``, unless ``empty``. Lanes negate exactly, with one more bit
        in their adder: ``(2 * I + 1) + (2 * (w ^ -negative) + negative) >> 1``.
    level, coarse : unsigned(8), unsigned(1)
        Of crossbars whose arrays hold several blocks: when the row fires.
    """
    block = {
        "last_block": 1,
        "mantissa": 2,
        "shift": 4,
        "code_sum": signed(params.code_sum_width),
    }
    if params.integrator == "mac":
        return data.StructLayout(
            {"row": range(BLOCK), "code": signed(params.code_width), "empty": 1, "last": 1} | block
        )
    lanes = ("negative", "empty", "gap", "restart", "times16", "ends_group")
    time = TIME_FIELDS if params.shared > 1 else {}
    return data.StructLayout(
        {"row": range(BLOCK), "gap_shift": 2, **dict.fromkeys(lanes, 1)} | time | block
    )


def EventSignature(params: CoreParams) -> stream.Signature:  # noqa: N802 - reads as a signature
    """Stream of events; see :func:`event_layout`."""
    return stream.Signature(event_layout(params))
