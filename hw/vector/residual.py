"""The result of a matrix, added to the residual (``docs/arithmetic.md`` §11); see the drain."""

from __future__ import annotations

from hw.spec.params import CoreParams
from hw.vector import rescale
from hw.vector.word import saturate

#: The result is not scaled, only shifted: 1 with 15 fraction bits.
ONE = 32768

#: Cycles of the sum and its saturation, behind the rescaling.
LATENCY = 2


def model(h: int, accumulator: int, k: int) -> int:
    """Add one accumulator to the residual.

    Parameters
    ----------
    h : int
        Word of the residual.
    accumulator : int
        Signed, ``accumulator_width`` bits.
    k : int
        Shift to the right, of any size: ``15 + 4 + f - RF - r - E - n``.

    Returns
    -------
    int
        Word of the new residual.
    """
    return saturate(h + rescale.model(accumulator, ONE, k))


def latency(params: CoreParams) -> int:
    """Cycles from an accumulator to its sum."""
    return rescale.latency(params) + LATENCY
