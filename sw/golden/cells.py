"""Conductances of crossbar cells, as they were programmed (``docs/crossbar.md`` §3)."""

from __future__ import annotations

import torch
from torch import Tensor

from hw.spec.crossbar import CELL_MAX, DRIFT_FRACTION, FRACTION, STUCK_KEY, Device
from hw.spec.mappings import Cell
from sw.golden.noise import gauss, sample, scaled


def conductances(
    weights: Tensor,
    cell: Cell,
    device: Device,
    *,
    seed: int,
    rows: Tensor,
    columns: Tensor,
    kind: int,
    number: int,
) -> tuple[Tensor, int]:
    """Program cells of one kind.

    Parameters
    ----------
    weights : Tensor
        Integers -8..8 that the mapping holds, shape (inputs, columns).
    cell : Cell
        Levels of the cells.
    device : Device
        What cells are like.
    seed : int
        Of all randomness.
    rows, columns : Tensor
        Input rows and columns of the places, int32, shapes (inputs,) and (columns,).
    kind, number : int
        Kind of the cells, and number of the matrix.

    Returns
    -------
    conductances : Tensor
        int32, 0..8191, shape (inputs, columns).
    pulses : int
        Times that cells were written.
    """
    levels = [cell.largest if level is None else level for level in cell.levels]
    wanted = torch.tensor([max(level << FRACTION, device.off) for level in levels])
    target = wanted.int()[weights.long() + 8]
    if device.exact:
        return target, target.numel()
    place = {
        "c0": (rows + (number << 16)).int()[:, None],
        "c1": (columns + (kind << 24)).int()[None],
    }
    found, pulses = target, target.numel()
    amplitude = device.programming_amplitude
    if amplitude:
        pulses, open_cells = 0, torch.ones_like(target, dtype=torch.bool)
        found = target.clone()
        for pulse in range(device.pulses):
            error = scaled(amplitude, gauss(*sample(seed, pulse, **place)))
            written = (target + error).clamp_(0, CELL_MAX)
            found = torch.where(open_cells, written, found)
            pulses += int(open_cells.sum())
            open_cells &= (written - target).abs() > device.tolerance_units
    if device.drift_factor != 1 << DRIFT_FRACTION:
        found = (found * device.drift_factor + (1 << DRIFT_FRACTION - 1)) >> DRIFT_FRACTION
    low, high = device.stuck_limits
    if high:
        draw = sample(seed, STUCK_KEY, **place)[0].long() & 0xFFFFFFFF
        found = torch.where(draw < high, cell.largest << FRACTION, found)
        found = torch.where(draw < low, device.off, found)
    return found.int(), pulses
