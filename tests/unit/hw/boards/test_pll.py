# amaranth: UnusedElaboratable=no
"""Clocks that the PLL makes."""

from fractions import Fraction

import pytest

from hw.boards.pll import PLL, dividers


@pytest.mark.parametrize("source", [25, 100])
@pytest.mark.parametrize("wanted", [40, 45, 50, 55, 60, Fraction(125, 2), Fraction(175, 3)])
def test_dividers(source, wanted):
    """Exactly what is wanted, within the limits of the data sheet."""
    found = dividers(source, wanted)
    compared = Fraction(source, found.input)
    oscillator = compared * found.feedback
    assert 10 <= compared <= 400 and 400 <= oscillator <= 800
    assert oscillator / found.output == wanted
    assert max(found.input, found.feedback, found.output) <= 128


def test_a_clock_that_cannot_be():
    with pytest.raises(ValueError, match="of 47 MHz can be made from 25 MHz; the nearest are 46.8"):
        PLL(source=25, wanted=47)
    with pytest.raises(ValueError, match="of 900 MHz can be made .*; the nearest is 800 MHz$"):
        PLL(source=25, wanted=900)
