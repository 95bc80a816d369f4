"""Three forms of a group's sum P that must agree (``docs/arithmetic.md`` §2).

*Events in time* is what a spiking synapse array computes, *mac* what a multiplier per lane
computes, and the plain product is what the golden model runs.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from hw.spec.codes import CodeTable, digits
from sw.golden.classify import LARGEST_DECODED, CodeClass
from sw.golden.codes import Encoded
from sw.golden.integers import look_up


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
        Digits hi with their signs; 0 does not fire.
    fine : Tensor
        Levels of spikes and magnitudes of digits lo; -1 does not fire.
    fine_sign : Tensor
        Polarity in the fine window, 1 or -1.
    """

    coarse: Tensor
    fine: Tensor
    fine_sign: Tensor


def windows(encoded: Encoded) -> Windows:
    """Place every code in its windows: spikes as they are, integers as digits."""
    entry = encoded.decoded + LARGEST_DECODED
    lookup = _window_lookup(encoded.table, encoded.silent_level)
    return Windows(*(look_up(column, entry) for column in lookup))


@functools.cache
def _window_lookup(table: CodeTable, silent_level: int) -> Windows:
    """Tabulate the windows of every decoded value from -255 to 255."""
    values = range(-LARGEST_DECODED, LARGEST_DECODED + 1)
    columns = zip(
        *(_place(value + table.zero, table, silent_level) for value in values), strict=True
    )
    return Windows(*map(torch.tensor, columns))


def _place(level: int, table: CodeTable, silent_level: int) -> tuple[int, int, int]:
    if level == silent_level:
        return 0, -1, 1
    sign = -1 if level < 0 else 1
    if (abs(level) if table.polarity else level) in table.ladder:
        return 0, abs(level), sign
    high, low = digits(level, masked=silent_level != 0)
    fires = low != 0 or silent_level != 0
    return high, abs(low) if fires else -1, -1 if low < 0 else 1


def events(encoded: Encoded) -> list[Event]:
    """List the events of a single block in time order, channels ascending within a step.

    Parameters
    ----------
    encoded : Encoded
        One vector of one block.
    """
    plan = windows(encoded)
    coarse, fine, sign = (
        part.flatten().tolist() for part in (plan.coarse, plan.fine, plan.fine_sign)
    )
    fired = [Event(True, abs(high), i, high < 0) for i, high in enumerate(coarse) if high]
    fired += [Event(False, low, i, sign[i] < 0) for i, low in enumerate(fine) if low >= 0]
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
    no_current = torch.zeros((weights[..., 0] * plan.fine[..., :1]).shape, dtype=torch.int64)
    _, coarse_potential = _integrate(weights, plan.coarse.abs(), plan.coarse.sign(), no_current)
    current, potential = _integrate(weights, plan.fine, plan.fine_sign, 16 * coarse_potential)
    m, z = encoded.silent_level, encoded.table.zero
    return potential - m * current + (m - z) * weights.sum(-1)


def _integrate(
    weights: Tensor, levels: Tensor, signs: Tensor, potential: Tensor
) -> tuple[Tensor, Tensor]:
    """Run one window down to level 0; return I and V at its end."""
    current = torch.zeros_like(potential)
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
    heard = (encoded.classes == CodeClass.SPIKE) | (encoded.classes == CodeClass.INTEGER)
    factor = torch.where(heard, encoded.decoded + z - m, 0)
    return (weights * factor[..., None, :]).sum(-1) + (m - z) * weights.sum(-1)


def group_sums(encoded: Encoded, weights: Tensor) -> Tensor:
    """Multiply decoded values and weights in float64, which is exact here; shapes as above."""
    return (weights.double() @ encoded.decoded.double()[..., None]).squeeze(-1).long()
