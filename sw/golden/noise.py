"""Counter-based noise (``docs/crossbar.md`` §5), in 32-bit words of int32 tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from hw.spec.noise import (
    AMPLITUDE_FRACTION,
    DIGEST_ROTATION,
    GAUSS_MEAN,
    INJECT,
    LINE_WORDS,
    PARITY,
    ROTATIONS,
    ROUNDS,
)

_HALF = 1 << AMPLITUDE_FRACTION - 1


def word(value: int) -> int:
    """Signed form of a 32-bit word."""
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


#: ``LINE_WORDS`` as int32, shape (2, 256).
LINES = torch.tensor([[word(w) for w in words] for words in LINE_WORDS], dtype=torch.int32)


def rotate(x: Tensor, left: int) -> Tensor:
    """Rotate words to the left."""
    return (x << left) | ((x >> 32 - left) & (1 << left) - 1)


def sample(seed: int, key: Tensor | int, c0: Tensor, c1: Tensor) -> tuple[Tensor, Tensor]:
    """Two words of Threefry-2x32 for every counter.

    Parameters
    ----------
    seed : int
        First word of the key.
    key, c0, c1 : Tensor
        Second word of the key and counter, int32, shapes that broadcast. Where the shape of ``c1``
        is the result's, most of the work is done in place.
    """
    first = word(seed)
    second = word(key) if isinstance(key, int) else key
    keys = (first, second, word(PARITY ^ first) ^ second)
    x0, x1 = torch.broadcast_tensors(c0 + keys[0], c1 + keys[1])
    x0, x1, moved = x0.clone(), x1.clone(), torch.empty_like(x0 + x1)
    for number in range(ROUNDS):
        left = ROTATIONS[number % len(ROTATIONS)]
        x0 += x1
        torch.bitwise_right_shift(x1, 32 - left, out=moved)
        moved &= (1 << left) - 1
        x1 <<= left
        x1 |= moved
        x1 ^= x0
        if number % INJECT == INJECT - 1:
            turn = number // INJECT + 1
            x0 += keys[turn % 3]
            x1 += keys[(turn + 1) % 3]
            x1 += turn
    return x0, x1


def gauss(x0: Tensor, x1: Tensor) -> Tensor:
    """Sum of the eight bytes of a sample, less its mean: int32."""
    total = torch.full_like(x0, -GAUSS_MEAN)
    for x in (x0, x1):  # bytes in pairs: a sum of two has nine bits
        pairs = (x & 0x00FF00FF) + ((x >> 8) & 0x00FF00FF)
        total += pairs & 0xFFFF
        total += pairs >> 16
    return total


def scaled(amplitude: Tensor | int, deviate: Tensor) -> Tensor:
    """Noise of an amplitude, rounded to the nearest, halves up."""
    return (amplitude * deviate + _HALF) >> AMPLITUDE_FRACTION


def digest_lines(signs: Tensor) -> Tensor:
    """Exclusive or of the words of the lines that fire.

    Parameters
    ----------
    signs : Tensor
        1, -1 or 0 for each row of an array, shape (..., rows).

    Returns
    -------
    Tensor
        int32, shape (...).
    """
    rows = signs.shape[-1]
    words = torch.where(signs > 0, LINES[0, :rows], LINES[1, :rows]).masked_fill_(signs == 0, 0)
    while words.shape[-1] > 1:
        half = words.shape[-1] // 2
        words = words[..., :half] ^ words[..., half:]
    return words[..., 0]


def rotate_digest(digest: Tensor) -> Tensor:
    """Digest behind a step."""
    return rotate(digest, DIGEST_ROTATION)
