"""When the lanes have integrated a group of weights."""

from __future__ import annotations

from collections.abc import Sequence

from hw.spec.cycles import REPLAY, group_interval, lanes_per_stream, tail
from hw.spec.params import CoreParams
from sw.plan.encoder import EncodedVector


class Lanes:
    """Integrates the groups of a matrix as they come, each for one vector after the other.

    A *turn* is a vector and a part of the tile: a group takes all turns before the next one does.

    Parameters
    ----------
    params : CoreParams
        The core.
    vectors : sequence of EncodedVector
        The vectors; the first tile waits for their blocks.
    head_beats : int
        Beats of scales and row sums of a group.
    start : int
        Cycle of the launch.

    Attributes
    ----------
    entered : list of int
        Cycle from which each group is read; the slot of the group before is then free.
    ended : list of int
        Last cycle of each tile of the core's width, for one vector after the other.
    stalls : dict of str to int
        Cycles in which the lanes waited for ``encoder``, ``scaler`` and ``memory``.
    """

    def __init__(
        self,
        params: CoreParams,
        vectors: Sequence[EncodedVector],
        *,
        head_beats: int,
        start: int,
    ) -> None:
        self._params, self._head = params, head_beats
        self._turns = [v.cost for v in vectors for _ in range(params.sub_tiles)]
        replay = REPLAY[params.integrator]
        self._offered = [[max(start, c) + replay for c in v.stored] for v in vectors]
        self._blocks = len(vectors[0].stored)
        self._interval = group_interval(params)
        self._spike = params.integrator == "spike"
        self._now, self._scaler = start, start
        self._group = 0
        self.entered: list[int] = []
        self.ended: list[int] = []
        self.stalls = dict.fromkeys(("encoder", "scaler", "memory"), 0)

    def take(self, ready: int) -> None:
        """Integrate the next group, which is in the ring from cycle ``ready`` on."""
        block, first_tile = self._group % self._blocks, self._group < self._blocks
        if self._spike and block:  # the next block's first item hands the one before over
            wanted = ready if self._turns[0].events[block] else 0
            self._end(block - 1, memory=wanted, encoder=self._offer(0, block) * first_tile)
            enter = max(self._now, ready)
        else:
            enter = max(self._now + 1, ready)
        self.entered.append(enter)
        self._group += 1
        self._enter(block, enter, first_tile)

    def _offer(self, turn: int, block: int) -> int:
        """Cycle in which the encoder offers the first item of a turn."""
        vector, part = divmod(turn, self._params.sub_tiles)
        return 0 if part else self._offered[vector][block]

    def _enter(self, block: int, enter: int, first_tile: bool) -> None:
        """Integrate a block in all turns, but for what only the next block ends."""
        last = block + 1 == self._blocks
        for turn, vector in enumerate(self._turns):
            # With `spike` a turn's first item ends the one before, unless the flush has done so.
            ends_other = self._spike and (block > 0 if turn == 0 else not last)
            count = max(vector.items[block], 1)
            if self._spike and turn:
                count += last - (block == 0)
            memory = self._now + self._head + 1
            if turn == 0:
                memory = enter + max(count - (not ends_other), self._head + ends_other)
            encoder = 0
            if first_tile and not ends_other:
                encoder = self._offer(turn, block) + count - 1
            self._wanted = self._now + count
            self._bounds = memory, encoder
            if not self._spike or last:
                self._end(block)
            elif turn + 1 < len(self._turns):
                self._end(block, encoder=self._offer(turn + 1, block) * first_tile)

    def _end(self, block: int, *, memory: int = 0, encoder: int = 0) -> None:
        """End a turn of a block when the last of all that it waits for is there."""
        memory, encoder = max(memory, self._bounds[0]), max(encoder, self._bounds[1])
        chased = max(self._wanted, encoder)
        served = max(chased, self._scaler)
        end = max(served, memory)
        self.stalls["encoder"] += chased - self._wanted
        self.stalls["scaler"] += served - chased
        self.stalls["memory"] += end - served
        self._now, self._scaler = end, end + self._interval
        if block + 1 == self._blocks:
            self.ended.append(end)

    def written(self) -> list[int]:
        """Cycles in which the outputs of :attr:`ended` have been written."""
        behind = tail(self._params) + lanes_per_stream(self._params)
        return [end + behind for end in self.ended]
