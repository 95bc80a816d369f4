"""Block scales: a mantissa of 4..7 times a power of two (``docs/arithmetic.md`` §3)."""

from __future__ import annotations

#: A scale S stands for S / 16 units of the quantizer's input.
SCALE_FRACTION = 4

#: Fraction bits of a tensor's scale constant; the constant itself has 12 bits.
CONSTANT_FRACTION = 12
CONSTANT_BITS = 12

#: Ratio of scale to mean magnitude at scale constant c = 1 (``frontier`` recipe F).
MEAN_TO_SCALE = 0.179

#: Largest magnitude of an integer code that the scale must be able to hold.
LARGEST_CODE = 127

#: Exponents below the vector's largest that survive; deeper blocks take the least one.
EXPONENT_SPAN = 8

#: Quantizer inputs lie in -INPUT_MAX..INPUT_MAX.
INPUT_MAX = 32767

#: Exponents of absolute scales are 0..LAST_EXPONENT.
LAST_EXPONENT = 15

#: All absolute scales in ascending order; the position is the *scale index* 4 * e + (m - 4).
GRID: tuple[int, ...] = tuple(m << e for e in range(LAST_EXPONENT + 1) for m in (4, 5, 6, 7))


def scale_constant(c: float) -> int:
    """Integer constant of a site from its ratio c, at least 1.

    Raises
    ------
    ValueError
        If c is not positive or too large for the constant's 12 bits.
    """
    constant = round(c * MEAN_TO_SCALE / 32 * 2 ** (CONSTANT_FRACTION + SCALE_FRACTION))
    if not 1 <= constant < 2**CONSTANT_BITS:
        raise ValueError(f"scale constant c must lie in 0.003..11, not {c}; choose one near 1")
    return constant


def scale_index(total: int, largest: int, constant: int) -> int:
    """Scale index of a block, before the vector's exponents are clamped.

    Parameters
    ----------
    total : int
        Sum of the block's magnitudes.
    largest : int
        Largest magnitude of the block.
    constant : int
        The tensor's scale constant.
    """
    product = total * constant
    wanted = 0
    top = product.bit_length() - 1
    if top >= CONSTANT_FRACTION + 2:
        eighths = product >> (top - 3)  # 8..15
        mantissa = (eighths + 1) >> 1  # 4..8: nearest, halves up; 8 is the next exponent's 4
        wanted = 4 * (top - 2 - CONSTANT_FRACTION) + mantissa - 4
    holds = next(i for i, s in enumerate(GRID) if LARGEST_CODE * s >= largest << SCALE_FRACTION)
    return min(max(wanted, holds), len(GRID) - 1)


def clamp(index: int, base: int) -> int:
    """Scale S_g of a block relative to ``base``, the vector's least exponent: 4..7 << 0..8."""
    exponent, mantissa = index >> 2, 4 + (index & 3)
    return mantissa << (exponent - base) if exponent >= base else 4


def base_exponent(indices: list[int]) -> int:
    """Least exponent of a vector: EXPONENT_SPAN below its largest block's, at least 0."""
    return max(0, max(i >> 2 for i in indices) - EXPONENT_SPAN)


#: Largest block scale relative to the base exponent.
LARGEST_RELATIVE_SCALE = 7 << EXPONENT_SPAN
