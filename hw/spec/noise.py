"""Constants of the counter-based noise generator (``docs/crossbar.md`` §5)."""

from __future__ import annotations

import hashlib
import math

#: Rounds of Threefry-2x32 (Salmon et al., SC 2011). Its authors found 13 enough for every test of
#: BigCrush; here a sum of bytes is all that is made of it.
ROUNDS = 12

#: Left rotations of the rounds, in turn.
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)

#: After so many rounds the key is added.
INJECT = 4

#: What the third word of the key is parity over, with both others.
PARITY = 0x1BD11BDA

#: Mean and standard deviation of the sum of the eight bytes of a sample.
GAUSS_MEAN = 8 * 255 // 2
GAUSS_SIGMA = math.sqrt(8 * (256**2 - 1) / 12)

#: Fraction bits of an amplitude by which a sample is multiplied.
AMPLITUDE_FRACTION = 12

#: Bits by which the digest of a window is rotated after each of its steps.
DIGEST_ROTATION = 7


def _word(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


#: Word that a raised line adds to the digest of its window, by polarity and by row of the array.
LINE_WORDS: tuple[tuple[int, ...], ...] = tuple(
    tuple(_word(f"word line {row} {polarity}") for row in range(256)) for polarity in "+-"
)


def amplitude(sigma: float) -> int:
    """Amplitude of a standard deviation, in units of the current's fixed point."""
    return round(sigma * 2**AMPLITUDE_FRACTION / GAUSS_SIGMA)
