"""Comparisons in as little logic as they need."""

from amaranth.hdl import Cat, Value


def above(a: Value, b: Value) -> Value:
    """Return ``a > b`` for signed values; an unsigned one must have a 0 on top.

    Synthesis itself looks at the last two carries of signed values, which cuts an FPGA's chain in
    two; this takes the last one alone.
    """
    width = max(len(a), len(b))
    return _offset(a, width) > _offset(b, width)


def has_all(number: Value, bits: Value | int) -> Value:
    """Return whether an unsigned number has all bits of another, as the first from it on does."""
    return (~number & bits) == 0


def _offset(value: Value, width: int) -> Value:
    """Return a signed value plus ``2^(width - 1)``: its bits, the sign inverted."""
    return Cat(value[:-1], value[-1].replicate(width - len(value)), ~value[-1])
