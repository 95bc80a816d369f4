"""Clock cycles of an instruction, in closed form; a test holds them equal to the RTL's counter.

The rates of the group scaler stand here too, because the gateware schedules by them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from hw.spec.crossbar_cycles import array_interval, lanes_latency
from hw.spec.formats import WeightFormat
from hw.spec.params import CoreParams

#: Checking an instruction, from the start command to the start of encoder and tile engine.
CHECK = 4

#: From a read command to the beat in the lanes: the memory array, then its output register.
MEMORY_LATENCY = 2

#: Least distance of two groups in the scaler: an accumulator's way through its memory.
ACCUMULATOR_LOOP = 4

#: From that start to the first tile's first command.
LAUNCH = 1

#: From asking for a replay, or when a block of the first tile is stored, to its first event.
REPLAY = {"mac": 3, "spike": 4}

#: From the last command to done, apart from the lanes that a scaler stream serves one by one.
TAIL = {"mac": 13, "spike": 12}


def lanes_per_stream(params: CoreParams) -> int:
    """Lanes that one scaler stream serves in turn; even where there are several streams."""
    lanes = math.ceil(params.lanes / params.scaler_streams)
    return lanes + lanes % 2 if params.scaler_streams > 1 else lanes


def tail(params: CoreParams) -> int:
    """Cycles from the last command to done, apart from the lanes of a scaler stream."""
    more = lanes_latency(params.crossbar) - 1 if params.crossbar else 0
    return TAIL[params.integrator] + more


def group_interval(params: CoreParams) -> int:
    """Least cycles from the last row of a group to the last row of the next."""
    return max(lanes_per_stream(params), ACCUMULATOR_LOOP)


class Integration(NamedTuple):
    """Cycles of all tiles of an instruction, from the first to the last item, and its stalls."""

    cycles: int
    stall_scaler: int
    stall_encoder: int


def integrate_cycles(
    params: CoreParams,
    weights: WeightFormat,
    tiles: int,
    items: Sequence[int],
    *,
    sums: bool = False,
    stored: Sequence[int] = (),
) -> Integration:
    """Cycles of all tiles of an instruction on chip, without launch and tail.

    An item is one cycle of the lanes. For ``mac`` that is an event, or an empty block. For
    ``spike`` it may also be a gap, and a block's last gap shares the cycle of the next block's
    first item; the last block's is that of the flush. The first tile takes the blocks as the
    encoder stores them. Where a tile is wider than the core, each of its parts takes these items.

    Parameters
    ----------
    params : CoreParams
        The core.
    weights : WeightFormat
        Format of the weights.
    tiles : int
        Tiles of outputs.
    items : sequence of int
        Items from one handover to the next, that one included, for each block of the vector.
    sums : bool
        Row sums lie in memory.
    stored : sequence of int
        Cycles from the start until each block is stored, if the first tile may have to wait.
    """
    now, free, head = 0, 0, weights.head_beats(sums=sums)
    array_free = 0
    stall_scaler, stall_encoder = 0, 0
    spike = params.integrator == "spike"
    for tile in range(tiles):
        # When each block's first item is there: the last one's end is no block's.
        chased = [] if tile else [cycle + REPLAY[params.integrator] for cycle in stored]
        offered = chased or [0] * len(items)
        for block, part in itertools.product(range(len(items)), range(params.sub_tiles)):
            last = block + 1 == len(items)
            count = max(items[block], 1)
            if spike:  # an item more where none has handed over: at the start, and after a flush
                count += (part > 0 and last) - (part > 0 and block == 0)
            unhindered = now + head + count
            wanted = unhindered
            if part == 0 and (block == 0 or not spike):
                wanted = max(wanted, offered[block] - 1 + count)
            if spike and part + 1 == params.sub_tiles and not last:
                wanted = max(wanted, offered[block + 1])
            fills = params.shared > 1 and (last or block % params.shared == params.shared - 1)
            now = max(wanted, free, array_free if fills else 0)
            if params.crossbar and fills:
                array_free = now + array_interval(params.crossbar)
            stall_encoder += wanted - unhindered
            stall_scaler += now - wanted
            free = now + group_interval(params)
    return Integration(now, stall_scaler, stall_encoder)


def instruction_cycles(
    params: CoreParams,
    weights: WeightFormat,
    tiles: int,
    items: Sequence[int],
    stored: Sequence[int],
    *,
    sums: bool = False,
) -> int:
    """Cycles of an instruction on chip from start to done: the register ``cycles``.

    Parameters
    ----------
    params : CoreParams
        The core.
    weights : WeightFormat
        Format of the weights.
    tiles : int
        Tiles of outputs.
    items : sequence of int
        Items up to each handover, as for :func:`integrate_cycles`.
    stored : sequence of int
        Cycles from the encoder's start until it has stored each block.
    sums : bool
        Row sums lie in memory.
    """
    integration = integrate_cycles(params, weights, tiles, items, sums=sums, stored=stored)
    return CHECK + LAUNCH + integration.cycles + tail(params) + lanes_per_stream(params)


def accounted_cycles(
    params: CoreParams,
    weights: WeightFormat,
    tiles: int,
    items: Sequence[int],
    *,
    stalls: int,
    sums: bool = False,
) -> int:
    """Cycles of an instruction with either memory, from what its lanes did and its stalls.

    Parameters
    ----------
    params : CoreParams
        The core.
    weights : WeightFormat
        Format of the weights.
    tiles : int
        Tiles of outputs.
    items : sequence of int
        Items up to each handover, as for :func:`integrate_cycles`; of a batch, those of all
        vectors.
    stalls : int
        Sum of ``stall_encoder``, ``stall_scaler`` and ``stall_memory``.
    sums : bool
        Row sums lie in memory.
    """
    heads = 0 if params.external else len(items) * weights.head_beats(sums=sums)
    fixed = CHECK + LAUNCH + tail(params) + lanes_per_stream(params)
    return fixed + tiles * params.sub_tiles * (sum(items) + heads) + stalls
