"""Event and memory counters that hardware must reproduce (``docs/arithmetic.md`` §13)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hw.spec.formats import WeightFormat
from hw.spec.registers import COUNTERS
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded
from sw.golden.sums import windows

Counters = dict[str, int | None]


def no_counters() -> Counters:
    """Every counter of the hardware, and ``window_steps``; None where only hardware can count."""
    measured = ("cycles", "stall_scaler", "stall_memory", "beats_hole")
    names = (*COUNTERS, "window_steps")
    return {name: None if name in measured else 0 for name in names}


def accumulate(totals: Counters, counts: Mapping[str, int]) -> None:
    """Add counts to totals in place."""
    for name, count in counts.items():
        totals[name] = (totals[name] or 0) + count


def event_counters(encoded: Encoded) -> dict[str, int]:
    """Count the codes and steps of vectors.

    Returns
    -------
    dict
        ``spikes``, ``silent``, ``integer_events``, ``steps``, ``window_steps`` of all vectors.
    """
    counts = torch.bincount(encoded.classes.flatten().long(), minlength=len(CodeClass)).tolist()
    plan = windows(encoded)
    return {
        "spikes": counts[CodeClass.SPIKE],
        "silent": counts[CodeClass.SILENT],
        "integer_events": counts[CodeClass.INTEGER],
        "steps": _occupied(plan.coarse.abs() - 1) + _occupied(plan.fine),
        "window_steps": encoded.scales.numel() * encoded.table.steps,
    }


def _occupied(levels: Tensor) -> int:
    """Count the distinct levels of each block, those below 0 left out."""
    width = int(levels.amax()) + 2
    if width < 2:
        return 0
    blocks = levels.view(-1, levels.shape[-1])
    slots = blocks + torch.arange(1, len(blocks) * width, width)[:, None]
    occupied = torch.zeros(len(blocks) * width, dtype=torch.int8)
    occupied[slots.flatten()] = 1
    return int(occupied.view(-1, width)[:, 1:].sum())


def memory_counters(
    encoded: Encoded, *, weight_format: WeightFormat, rows: int, lanes: int
) -> dict[str, int]:
    """Predict the reads of synapse memory by one matrix-vector instruction per vector.

    Parameters
    ----------
    encoded : Encoded
        The instruction's inputs.
    weight_format : WeightFormat
        Format of the matrix.
    rows : int
        Its outputs.
    lanes : int
        Lanes of the core.

    Returns
    -------
    dict
        ``rows_read`` and ``beats_read``.
    """
    tiles = weight_format.tiles(rows, lanes)
    heard = (encoded.classes == CodeClass.SPIKE) | (encoded.classes == CodeClass.INTEGER)
    rows_read = tiles * int(heard.sum())
    scale_beats = tiles * encoded.scales.numel() * weight_format.scale_beats
    return {"rows_read": rows_read, "beats_read": rows_read + scale_beats}
