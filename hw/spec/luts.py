"""Lookup tables as data: made once here, in exact decimal arithmetic, on every machine alike.

``docs/arithmetic.md`` §6 to §10 and §15 say how each is used.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, getcontext

getcontext().prec = 50


def _round(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


#: ``65535 * 2^(-i / 256)``: fraction of a power of two for softmax.
EXP2: tuple[int, ...] = tuple(
    _round(65535 * (Decimal(2).ln() * Decimal(-i) / 256).exp()) for i in range(256)
)

#: Logistic function times 32768 at the midpoints of 1024 intervals over [-8, 8).
SIGMOID: tuple[int, ...] = tuple(
    _round(32768 / (1 + (Decimal(8) - (Decimal(i) + Decimal("0.5")) / 64).exp()))
    for i in range(1024)
)

#: ``2^21 / m`` for the scale mantissas m = 64..127 of the key and value cache.
CACHE_RECIPROCAL: tuple[int, ...] = tuple(_round(Decimal(2**21) / m) for m in range(64, 128))


def _normal(x: Decimal) -> Decimal:
    """Sum up the power series of the normal distribution function, for x of at most 4."""
    term = total = x
    degree = 1
    while abs(term) > Decimal("1e-30"):
        term *= -x * x / (degree + 1)
        degree += 2
        total += term / degree
    return Decimal("0.5") + total / (2 * _PI).sqrt()


_PI = Decimal("3.14159265358979323846264338327950288419716939937510")

#: Normal distribution function times 32768 at the midpoints of 1024 intervals over [-4, 4).
PHI: tuple[int, ...] = tuple(
    _round(32768 * _normal((Decimal(i) + Decimal("0.5")) / 128 - 4)) for i in range(1024)
)
