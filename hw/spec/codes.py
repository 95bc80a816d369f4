"""Code tables: which levels a time-to-first-spike window stands for (``docs/arithmetic.md`` §2)."""

from __future__ import annotations

import dataclasses

#: Channels that share one activation scale and one weight scale.
BLOCK = 32

#: Fraction bits of the quotient |x| / scale that the quantizer compares with thresholds.
QUOTIENT_FRACTION = 3

#: Silence threshold of half a scale, in quotient units: only what rounds to zero is silent.
DEFAULT_THRESHOLD = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeTable:
    """The ladder of one window, its silent level and where integers begin.

    Attributes
    ----------
    name : str
        Name on the command line.
    number : int
        Number in the ``mode`` register of the core.
    polarity : bool
        True if a spike carries a sign and the ladder holds magnitudes.
    zero : int
        The level ``z`` that decodes to zero; 0 for signed tables.
    ladder : tuple of int
        Ascending levels; empty for the dense integer table.
    steps : int
        Length of the window in time steps, the silent state included.
    integer_from : int
        Signed tables: smallest quotient (units of 1/8 scale) of an integer.
    masked : bool
        True if the silent level is calibrated per tensor (Matterhorn's M-TTFS); otherwise it is
        the lowest level (``zero > 0``) or zero.
    linear : bool
        True if the inputs of linear layers may use it; ``octave`` serves softmax codes only.
    """

    name: str
    number: int
    polarity: bool
    zero: int
    ladder: tuple[int, ...]
    steps: int
    integer_from: int
    masked: bool = False
    linear: bool = True

    @property
    def silent_level(self) -> int:
        """Default silent level ``m``: the calibrated tables start at ``z``, others at 0."""
        return self.zero if self.masked else 0

    @property
    def lowest(self) -> int:
        """Least level a spike may have."""
        return self.ladder[0] if self.ladder else 0

    @property
    def highest(self) -> int:
        """Greatest level (magnitude where the table has polarity) a spike may have."""
        return self.ladder[-1] if self.ladder else 0

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Quotients (units of 1/8 scale) from which on each level but the first is nearest."""
        return tuple(4 * (a + b) for a, b in zip(self.ladder, self.ladder[1:], strict=False))

    def magnitude(self, quotient: int) -> tuple[int, bool]:
        """Classify a magnitude of a table with ``zero == 0``.

        Parameters
        ----------
        quotient : int
            ``floor(8 * |x| / scale)``, 0 or more.

        Returns
        -------
        level : int
            The code's magnitude.
        integer : bool
            True if it is an integer and not a level of the ladder.
        """
        if quotient >= self.integer_from:
            return (quotient + 4) >> QUOTIENT_FRACTION, True
        return self.ladder[sum(quotient >= t for t in self.thresholds)] if self.ladder else 0, False


def _table(name: str, number: int, ladder, steps: int, **kwargs) -> CodeTable:
    ladder = tuple(ladder)
    if "integer_from" not in kwargs:
        top, below = ladder[-1], ladder[-2]
        kwargs["integer_from"] = 8 * top + 4 * (top - below)
    return CodeTable(name=name, number=number, ladder=ladder, steps=steps, **kwargs)


_UNSIGNED = {"polarity": False}
_SIGNED = {"polarity": True, "zero": 0}

#: Every code table, by name, in the order of the documentation.
TABLES: dict[str, CodeTable] = {
    table.name: table
    for table in (
        _table("ttfs8", 1, range(256), 256, zero=128, **_UNSIGNED),
        _table("ttfs", 2, range(16), 16, zero=8, **_UNSIGNED),
        _table("mttfs", 3, range(16), 16, zero=8, masked=True, **_UNSIGNED),
        _table("signed8", 4, range(8), 8, **_SIGNED),
        _table("signed16", 5, range(16), 16, **_SIGNED),
        _table("companded", 0, [*range(12), 13, 15, 17, 19], 16, **_SIGNED),
        _table(
            "octave",
            6,
            [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192],
            16,
            zero=0,
            integer_from=8 * 192 + 4,
            linear=False,
            **_UNSIGNED,
        ),
        _table("fp4", 7, [0, 1, 2, 3, 4, 6, 8, 12], 8, **_SIGNED),
        _table("integer", 8, [], 0, integer_from=4, **_SIGNED),
    )
}

#: The table of a model that names no other.
DEFAULT_TABLE = "companded"


def digits(level: int) -> tuple[int, int]:
    """Split an integer into the digits of the coarse and the fine window.

    Parameters
    ----------
    level : int
        Level relative to the silent one, v - m, -255..255.

    Returns
    -------
    hi, lo : int
        ``level == 16 * hi + lo``, both with the sign of ``level`` or, for lo, the opposite one;
        ``abs(hi) <= 16`` and ``abs(lo) <= 8``.
    """
    hi = (abs(level) + 8) >> 4
    lo = abs(level) - 16 * hi
    return (hi, lo) if level >= 0 else (-hi, -lo)
