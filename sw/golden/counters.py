"""Event and memory counters that hardware must reproduce (``docs/arithmetic.md`` §13)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from hw.spec.formats import WeightFormat
from hw.spec.registers import COUNTERS
from sw.golden.classify import CodeClass
from sw.golden.codes import Encoded
from sw.golden.sums import relative_levels, windows

Counters = dict[str, int | None]


def no_counters() -> Counters:
    """Every counter of the hardware, and ``window_steps`` and ``bound_cycles``.

    Those that only hardware can count are None.
    """
    measured = ("cycles", "stall_scaler", "stall_memory", "stall_encoder")
    names = (*COUNTERS, "window_steps", "bound_cycles")
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
        "steps": sum(int(occupied_steps(levels.abs()).sum()) for levels in plan),
        "window_steps": encoded.scales.numel() * encoded.table.steps,
    }


def occupied_steps(levels: Tensor) -> Tensor:
    """Count the distinct levels of each block, level 0 left out, shape (..., G)."""
    width = int(levels.amax()) + 1
    if width < 2:
        return torch.zeros(levels.shape[:-1], dtype=torch.int64)
    blocks = levels.reshape(-1, levels.shape[-1])
    slots = blocks + torch.arange(0, len(blocks) * width, width)[:, None]
    occupied = torch.zeros(len(blocks) * width, dtype=torch.int8)
    occupied[slots.flatten()] = 1
    return occupied.view(-1, width)[:, 1:].sum(-1).view(levels.shape[:-1])


def row_events(encoded: Encoded, integrator: str) -> Tensor:
    """Rows that each block reads: for ``spike`` one per digit, shape (..., G)."""
    if integrator == "spike":
        coarse, fine = windows(encoded)
        return (coarse != 0).sum(-1) + (fine != 0).sum(-1)
    return (relative_levels(encoded) != 0).sum(-1)


def lane_cycles(encoded: Encoded, integrator: str) -> Tensor:
    """Predict the cycles of the lanes in one tile, scales and stalls apart.

    Parameters
    ----------
    encoded : Encoded
        The tile's inputs.
    integrator : str
        ``"mac"``: one cycle per event. ``"spike"``: one per event, and one for each operation of a
        gap beyond its first, as that shares the cycle of what comes next; a block in the coarse
        window alone takes one more to multiply by 16.

    Returns
    -------
    Tensor
        Cycles from one block's handover to the next, that one included, shape (..., G). A block
        takes at least one. With ``spike``, a block is handed over by the next one's first event,
        or the flush behind the vector's last block.
    """
    cycles = row_events(encoded, integrator).clamp_min(1)
    if integrator == "mac":
        return cycles
    coarse, fine = windows(encoded)
    for levels in (coarse, fine):
        falling = functional.pad(levels.abs().sort(-1, descending=True).values, (0, 1))
        gaps = falling[..., :-1] - falling[..., 1:]
        operations = (gaps >> 2) + (gaps >> 1 & 1) + (gaps & 1)
        cycles = cycles + (operations - 1).clamp_min(0).sum(-1)
    cycles = cycles + ((coarse != 0).any(-1) & (fine == 0).all(-1))
    cycles[..., 0] += 1  # the first event ends no block
    return cycles


def fetched_rows(encoded: Encoded, batch: int = 1) -> Tensor:
    """Tell which rows fire in any vector of a batch.

    Parameters
    ----------
    encoded : Encoded
        Vectors, in the order in which they form batches.
    batch : int
        Most vectors of a batch.

    Returns
    -------
    Tensor
        For every batch, bool, shape (batches, G, 32).
    """
    fires = (relative_levels(encoded) != 0).reshape(-1, *encoded.decoded.shape[-2:])
    return torch.stack([vectors.any(0) for vectors in fires.split(batch)])


def hole_rows(fires: Tensor, hole: int) -> int:
    """Count the silent rows that are read through: runs below ``hole`` before a row that fires.

    A run may begin a block, whose scales lie before its first row.
    """
    rows = torch.arange(fires.shape[-1])
    latest = torch.where(fires, rows, -1).cummax(-1).values
    runs = rows - 1 - functional.pad(latest[..., :-1], (1, 0), value=-1)
    return int(runs[fires & (runs < hole)].sum())


def memory_counters(
    encoded: Encoded,
    *,
    weight_format: WeightFormat,
    rows: int,
    lanes: int,
    tile_lanes: int | None = None,
    integrator: str = "mac",
    memory: str = "onchip",
    hole: int = 1,
    batch: int = 1,
) -> dict[str, int]:
    """Predict the reads of synapse memory by one instruction per vector or batch.

    Parameters
    ----------
    encoded : Encoded
        The instruction's inputs.
    weight_format : WeightFormat
        Format of the matrix. It has row sums if silent codes do not stand for 0.
    rows : int
        Its outputs.
    lanes : int
        Lanes of the core.
    tile_lanes : int, optional
        Lanes of a tile in memory, if that is wider; all of it is read.
    integrator : str
        ``"mac"`` reads a row for each code that is not silent, ``"spike"`` for each digit: an
        integer may read its row twice.
    memory : str
        ``"onchip"``, or ``"axi"``, which delivers the row of a code once to either integrator.
    hole : int
        Silent rows are read through where fewer than this stand together; ``"axi"`` only.
    batch : int
        Vectors that an instruction takes at most; ``"axi"`` only if above 1. A row is read once for
        all of them.

    Returns
    -------
    dict
        ``rows_read``, ``beats_read`` and ``beats_hole``.
    """
    tiles = _tiles(weight_format, rows, lanes, tile_lanes)
    fires = fetched_rows(encoded, batch)
    sums = encoded.silent_level != encoded.table.zero
    head_beats = weight_format.head_beats(sums=sums)
    if memory == "axi":
        return fetch_counters(fires, tiles=tiles, head_beats=head_beats, hole=hole)
    rows_read = tiles * int(row_events(encoded, integrator).sum())
    beats_read = rows_read + tiles * fires[..., 0].numel() * head_beats
    return {"rows_read": rows_read, "beats_read": beats_read, "beats_hole": 0}


def fetch_counters(fires: Tensor, *, tiles: int, head_beats: int, hole: int) -> dict[str, int]:
    """Predict the reads of external memory.

    Parameters
    ----------
    fires : Tensor
        Rows that fire, bool, shape (..., G, 32).
    tiles : int
        Tiles of the core's width.
    head_beats : int
        Beats of a group before its rows.
    hole : int
        As of :func:`memory_counters`, whose result this is too.
    """
    rows_read = tiles * int(fires.sum())
    return {
        "rows_read": rows_read,
        "beats_read": rows_read + tiles * fires[..., 0].numel() * head_beats,
        "beats_hole": tiles * hole_rows(fires, hole),
    }


def bound_cycles(
    encoded: Encoded,
    *,
    weight_format: WeightFormat,
    rows: int,
    lanes: int,
    tile_lanes: int | None = None,
    integrator: str,
    batch: int = 1,
) -> int:
    """Sum up for every group the cycles of memory or of the lanes, whichever needs more.

    The measure of a core whose memory gives one beat in every cycle: beats of scales, row sums and
    rows that fire, each fetched once, against :func:`lane_cycles`. Arguments as of
    :func:`memory_counters`.
    """
    sums = encoded.silent_level != encoded.table.zero
    beats = fetched_rows(encoded, batch).sum(-1) + weight_format.head_beats(sums=sums)
    vectors = lane_cycles(encoded, integrator).reshape(-1, beats.shape[-1])
    lane = torch.stack([each.sum(0) for each in vectors.split(batch)])
    tiles = _tiles(weight_format, rows, lanes, tile_lanes)
    return tiles * int(torch.maximum(beats, lane).sum())


def _tiles(weight_format: WeightFormat, rows: int, lanes: int, tile_lanes: int | None) -> int:
    """Tiles of the core's width, those included that fill up a tile in memory."""
    wide = tile_lanes or lanes
    return weight_format.tiles(rows, wide) * (wide // lanes)
