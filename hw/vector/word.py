"""Vector words, and how numbers become words (``docs/arithmetic.md``, opening and §6)."""

from amaranth.hdl import Mux, Value

from hw.vector.beat import WORD_BITS

#: Largest magnitude of a word.
LARGEST = (1 << (WORD_BITS - 1)) - 1

#: Longer shifts to the right are taken for this one.
LONGEST_SHIFT = 62

#: Fraction bits F of q, k, v, gate and up.
FRACTION = 12


def shift(x: int, k: int) -> int:
    """Divide by ``2^k`` and round to nearest, halves up."""
    k = min(k, LONGEST_SHIFT)
    return (x + (1 << (k - 1))) >> k if k > 0 else x << -k


def saturate(x: int) -> int:
    """Clamp to -8388607..8388607."""
    return min(max(x, -LARGEST), LARGEST)


def rounded(value: Value, k: int) -> Value:
    """Return ``shift(value, k)`` for a constant k of at least 1: one adder."""
    return (value + (1 << (k - 1))) >> k


def saturated(value: Value) -> Value:
    """Return ``saturate(value)``: two comparisons side by side."""
    return Mux(value > LARGEST, LARGEST, Mux(value < -LARGEST, -LARGEST, value))
