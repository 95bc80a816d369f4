"""When the lanes have integrated a group of weights."""

from __future__ import annotations

from hw.spec.cycles import REPLAY, TAIL, group_interval, lanes_per_stream
from hw.spec.params import CoreParams
from sw.plan.vector import VectorCost


class Lanes:
    """Integrates the groups of a matrix as they come.

    Parameters
    ----------
    params : CoreParams
        The core.
    vector : VectorCost
        The vector.
    head_beats : int
        Beats of scales and row sums of a group.
    start : int
        Cycle of the launch.
    chases : bool
        The vector is encoded only now.

    Attributes
    ----------
    entered : list of int
        Cycle from which each group is read; the slot of the group before is then free.
    tiles : list of int
        Last cycle of each tile of the core's width.
    stalls : dict of str to int
        Cycles in which the lanes waited for ``encoder``, ``scaler`` and ``memory``.
    """

    def __init__(
        self, params: CoreParams, vector: VectorCost, *, head_beats: int, start: int, chases: bool
    ) -> None:
        self._params, self._vector, self._head = params, vector, head_beats
        replay = start + REPLAY[params.integrator]
        self._offered = [replay + cycle for cycle in vector.stored] if chases else []
        self._interval = group_interval(params)
        self._spike = params.integrator == "spike"
        self._now, self._scaler = start, start
        self._group = 0
        self.entered: list[int] = []
        self.tiles: list[int] = []
        self.stalls = dict.fromkeys(("encoder", "scaler", "memory"), 0)

    def take(self, ready: int) -> None:
        """Integrate the next group, which is in the ring from cycle ``ready`` on."""
        blocks = len(self._vector.rows)
        block, first_tile = self._group % blocks, self._group < blocks
        if self._spike and block:  # the next block's first item hands the one before over
            wanted = ready if self._vector.rows[block] else 0
            offered = self._offered[block] if first_tile and self._offered else 0
            self._end(block - 1, self._params.sub_tiles - 1, memory=wanted, encoder=offered)
            enter = max(self._now, ready)
        else:
            enter = max(self._now + 1, ready)
        self.entered.append(enter)
        self._group += 1
        self._enter(block, enter, first_tile)

    def _enter(self, block: int, enter: int, first_tile: bool) -> None:
        """Integrate all parts of a block, but for what only the next block ends."""
        parts, blocks = self._params.sub_tiles, len(self._vector.rows)
        last = block + 1 == blocks
        entering = self._spike and block > 0
        for part in range(parts):
            count = max(self._vector.items[block], 1)
            if self._spike:
                count += (part > 0 and last) - (part > 0 and block == 0)
            memory = self._now + self._head + 1
            encoder = 0
            if part == 0:
                memory = enter + max(count - (not entering), self._head + entering)
                if first_tile and self._offered and not entering:
                    encoder = self._offered[block] + count - 1
            self._wanted = self._now + count
            self._bounds = memory, encoder
            if not (self._spike and part + 1 == parts and not last):
                self._end(block, part)

    def _end(self, block: int, part: int, *, memory: int = 0, encoder: int = 0) -> None:
        """End a part of a block when the last of all that it waits for is there."""
        memory, encoder = max(memory, self._bounds[0]), max(encoder, self._bounds[1])
        chased = max(self._wanted, encoder)
        served = max(chased, self._scaler)
        end = max(served, memory)
        self.stalls["encoder"] += chased - self._wanted
        self.stalls["scaler"] += served - chased
        self.stalls["memory"] += end - served
        self._now, self._scaler = end, end + self._interval
        if block + 1 == len(self._vector.rows):
            self.tiles.append(end)

    def written(self) -> list[int]:
        """Cycles in which the outputs of each tile have been written."""
        behind = TAIL[self._params.integrator] + lanes_per_stream(self._params)
        return [end + behind for end in self.tiles]
