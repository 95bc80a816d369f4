"""Trees over many flags: the lowest that is set, and how many are."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Mux


def lowest(flags):
    """Return the number of the lowest flag that is set; their number is a power of two."""
    if len(flags) == 2:
        return ~flags[0]
    low, high = flags[: len(flags) // 2], flags[len(flags) // 2 :]
    return Cat(Mux(low.any(), lowest(low), lowest(high)), ~low.any())


def count(flags):
    """Tell whether any flag is set, and whether more than one is."""
    if len(flags) == 1:
        return flags, Const(0, 1)
    low, low_several = count(flags[: len(flags) // 2])
    high, high_several = count(flags[len(flags) // 2 :])
    return low | high, low_several | high_several | (low & high)
