"""Three forms of a group's sum P that must agree (``docs/arithmetic.md`` §2).

*Events in time* is what a spiking synapse array computes, *mac* what a multiplier per lane
computes, and the plain product is what the golden model runs. The papers' window, a fourth form,
is in `sw.golden.paper_window`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded


class Event(NamedTuple):
    """A spike on its way to the synapse array.

    Attributes
    ----------
    coarse : bool
        True in the window of the digits hi, which comes first.
    level : int
        Level of its time step; the largest fires first.
    channel : int
        Channel of the block, 0..31: the row that it reads.
    negative : bool
        True if the row is subtracted.
    """

    coarse: bool
    level: int
    channel: int
    negative: bool


class Windows(NamedTuple):
    """When each element of a block fires, in both windows; shapes are those of the codes.

    Attributes
    ----------
    coarse : Tensor
        Digits hi, by which the row is multiplied over the window; 0 does not fire.
    fine : Tensor
        Levels of spikes relative to the silent level, and digits lo; 0 does not fire.
    """

    coarse: Tensor
    fine: Tensor


def relative_levels(encoded: Encoded) -> Tensor:
    """Levels relative to the silent one, ``v - m``: 0 for what is silent."""
    return encoded.decoded + (encoded.table.zero - encoded.silent_level)


def windows(encoded: Encoded) -> Windows:
    """Place every code in its windows: spikes as they are, integers as digits."""
    levels = relative_levels(encoded)
    high = ((levels.abs() + 8) >> 4) * levels.sign()
    coarse = high.masked_fill_(encoded.classes != CodeClass.INTEGER, 0)
    return Windows(coarse, levels - 16 * coarse)


def events(encoded: Encoded) -> list[Event]:
    """List the events of a single block in time order, channels ascending within a step.

    Parameters
    ----------
    encoded : Encoded
        One vector of one block.
    """
    plan = windows(encoded)
    fired = [
        Event(window == 0, abs(level), channel, level < 0)
        for window, levels in enumerate(plan)
        for channel, level in enumerate(levels.flatten().tolist())
        if level
    ]
    return sorted(fired, key=lambda event: (not event.coarse, -event.level, event.channel))


def group_sums_events(encoded: Encoded, weights: Tensor) -> Tensor:
    """Integrate spikes in time: currents I add up weights, potentials V add up currents.

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
    plan = windows(encoded)
    potential = torch.zeros((weights[..., 0] * plan.fine[..., :1]).shape, dtype=torch.int64)
    for levels in plan:
        potential = 16 * potential + integrate(weights, levels.abs(), levels.sign())[1]
    m, z = encoded.silent_level, encoded.table.zero
    return potential + (m - z) * weights.sum(-1)


def integrate(weights: Tensor, levels: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
    """Run one window down to level 0; return I and V at its end.

    Parameters
    ----------
    weights : Tensor
        int64, shape (..., rows, 32).
    levels : Tensor
        When each row fires, shape (..., 32); those below 0 never do.
    signs : Tensor
        What the current is changed by: 1, -1 or 0 times the weight.
    """
    shape = (weights[..., 0] * levels[..., :1]).shape
    current, potential = (torch.zeros(shape, dtype=torch.int64) for _ in range(2))
    occupied = levels.unique().tolist()
    falling = [level for level in reversed(occupied) if level >= 0]
    for level, following in zip(falling, [*falling[1:], 0], strict=True):
        fires = torch.where(levels == level, signs, 0)
        current = current + (weights * fires[..., None, :]).sum(-1)
        potential = potential + current * (level - following)  # one step of the ladder
    return current, potential


def group_sums_mac(encoded: Encoded, weights: Tensor) -> Tensor:
    """Multiply and accumulate every non-silent code; shapes as for `group_sums_events`."""
    m, z = encoded.silent_level, encoded.table.zero
    products = weights * relative_levels(encoded)[..., None, :]
    return products.sum(-1) + (m - z) * weights.sum(-1)


def group_sums(encoded: Encoded, weights: Tensor) -> Tensor:
    """Multiply decoded values and weights in float64, which is exact here; shapes as above."""
    return (weights.double() @ encoded.decoded.double()[..., None]).squeeze(-1).long()
