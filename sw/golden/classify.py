"""Classes of a code: silent, spike or integer (``docs/arithmetic.md`` §2)."""

from __future__ import annotations

import enum
import functools

import torch
from torch import Tensor

from hw.spec.codes import QUOTIENT_FRACTION, CodeTable
from sw.golden.integers import look_up

#: Largest decoded magnitude, reached by softmax codes and in the test mode.
LARGEST_DECODED = 255

_LAST_QUOTIENT = LARGEST_DECODED << QUOTIENT_FRACTION


class CodeClass(enum.IntEnum):
    """What an element of a block costs the hardware."""

    SILENT = 0
    SPIKE = 1
    INTEGER = 2
    PADDING = 3


def classify(
    quotient: int, *, table: CodeTable, threshold: int, silent_level: int
) -> tuple[int, CodeClass]:
    """Decode one element.

    Parameters
    ----------
    quotient : int
        Eighths of the scale, with the element's sign.
    table, threshold, silent_level
        As for `sw.golden.codes.encode`.

    Returns
    -------
    decoded : int
        The value D that the code stands for.
    code_class : CodeClass
        Its class.
    """
    magnitude = abs(quotient)
    rounded = (magnitude + 4) >> QUOTIENT_FRACTION
    sign = -1 if quotient < 0 else 1
    if table.zero:
        level = sign * rounded + table.zero
        silent_value = silent_level - table.zero
        if level == silent_level or abs(quotient - 8 * silent_value) < threshold:
            return silent_value, CodeClass.SILENT
        spike = 0 <= level <= table.highest
        return level - table.zero, CodeClass.SPIKE if spike else CodeClass.INTEGER
    value, integer = table.magnitude(magnitude)
    if quotient < 0 and not table.polarity:
        value, integer = rounded, True
    if magnitude < threshold or value == 0:
        return 0, CodeClass.SILENT
    return sign * value, CodeClass.INTEGER if integer else CodeClass.SPIKE


@functools.lru_cache(maxsize=512)
def code_lookup(table: CodeTable, threshold: int, silent_level: int) -> tuple[Tensor, Tensor]:
    """Tabulate `classify` for every quotient from -2040 to 2040.

    Returns
    -------
    decoded, classes : Tensor
        int64 and int8; the entry of quotient t is at t + 2040.
    """
    codes = [
        classify(quotient, table=table, threshold=threshold, silent_level=silent_level)
        for quotient in range(-_LAST_QUOTIENT, _LAST_QUOTIENT + 1)
    ]
    decoded, classes = zip(*codes, strict=True)
    return torch.tensor(decoded), torch.tensor(classes, dtype=torch.int8)


def decode(quotient: Tensor, lookup: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Decode and classify quotients by a `code_lookup`."""
    entry = quotient + _LAST_QUOTIENT
    return look_up(lookup[0], entry), look_up(lookup[1], entry)
