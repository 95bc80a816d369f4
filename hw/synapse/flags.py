"""Trees over many flags: the number of the one that is set, and how many are."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const


def number(flag):
    """Return the number of the one flag that is set, or 0 if none is."""
    bits = (len(flag) - 1).bit_length()
    return Cat(
        reduce(or_, [flag[i] for i in range(len(flag)) if i >> bit & 1]) for bit in range(bits)
    )


def count(flags):
    """Tell whether any flag is set, whether more than one is, and whether more than two are."""
    if len(flags) == 1:
        return flags, Const(0, 1), Const(0, 1)
    low = count(flags[: len(flags) // 2])
    high = count(flags[len(flags) // 2 :])
    return (
        low[0] | high[0],
        low[1] | high[1] | (low[0] & high[0]),
        low[2] | high[2] | (low[1] & high[0]) | (low[0] & high[1]),
    )
