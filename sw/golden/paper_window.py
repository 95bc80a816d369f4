"""The papers' form of a group's sum: spikes fire at their level v (``docs/arithmetic.md`` §2).

It needs the current at the window's end, ``P = V - m * I + (m - z) * R``, and thus fires even what
has level 0. The hardware fires at ``|v - m|`` instead; tests hold both forms equal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded
from sw.golden.sums import integrate


def group_sums_window(encoded: Encoded, weights: Tensor) -> Tensor:
    """Integrate spikes at their levels, integers as digits of v rounded down.

    Parameters
    ----------
    encoded : Encoded
        Codes of shape (..., G, 32).
    weights : Tensor
        int64, shape (..., G, rows, 32), zero at padding.

    Returns
    -------
    Tensor
        P, int64, shape (..., G, rows).
    """
    m, z = encoded.silent_level, encoded.table.zero
    level = encoded.decoded + z
    integer = encoded.classes == CodeClass.INTEGER
    high = torch.where(integer, level >> 4, 0)
    _, coarse = integrate(weights, high.abs(), high.sign())

    # A spike has the polarity of its level; a digit lo is never negative.
    sign = torch.where(integer | (level >= 0), 1, -1)
    fine = torch.where(integer, level & 15, level.abs())
    fine = torch.where(integer | (encoded.classes == CodeClass.SPIKE), fine, -1)
    current, potential = integrate(weights, fine, sign)
    return 16 * coarse + potential - m * current + (m - z) * weights.sum(-1)
