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


def saturate(x: int, most: int = LARGEST) -> int:
    """Clamp to ``-most..most``, by default a word."""
    return min(max(x, -most), most)


def rounded(value: Value, k: int) -> Value:
    """Return ``shift(value, k)`` for a constant k of at least 1: one adder."""
    return (value + (1 << (k - 1))) >> k


def saturated(value: Value, most: int = LARGEST) -> Value:
    """Return ``saturate(value, most)``: two comparisons side by side."""
    return Mux(value > most, most, Mux(value < -most, -most, value))
