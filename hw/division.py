"""Division by a constant, in one clock cycle."""

from __future__ import annotations

from amaranth.hdl import Value


def divide(value: Value, divisor: int) -> tuple[Value, Value]:
    """Return quotient and remainder of an unsigned value.

    A power of two gives bit slices. Otherwise the value is multiplied by the divisor's reciprocal,
    rounded up and so long that the quotient is exact for every value of that width.
    """
    if divisor & (divisor - 1) == 0:
        bits = divisor.bit_length() - 1
        return value[bits:], value[:bits]
    fraction = len(value) + divisor.bit_length()
    quotient = (value * -(-(1 << fraction) // divisor))[fraction:]
    remainder = (value - quotient * divisor)[: (divisor - 1).bit_length()]
    return quotient, remainder
